from django.apps import AppConfig


class OutsideConfig(AppConfig):
    name = "outside"
    default_auto_field = "django.db.models.BigAutoField"
