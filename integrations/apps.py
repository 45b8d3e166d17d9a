from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    label = "outside"  # the label in tables and migrations of existing installations
    default_auto_field = "django.db.models.BigAutoField"
