from django.apps import AppConfig


class MicroserviceConfig(AppConfig):
    name = "microservice"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from access import permissions

        from .catalog import visibility

        permissions.owners = visibility.owners
