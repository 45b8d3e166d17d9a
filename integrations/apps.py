from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    label = "outside"  # as tables and migrations of every installation know it
    default_auto_field = "django.db.models.BigAutoField"
