from django.apps import AppConfig


class MicroserviceConfig(AppConfig):
    name = "microservice"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from access import permissions

        from .catalog import visibility
        from .deployments.ended import deployment_ended
        from .trains.advance import on_deployment_ended

        permissions.owners = visibility.owners
        deployment_ended.connect(on_deployment_ended)
