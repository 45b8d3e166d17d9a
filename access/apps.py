from django.apps import AppConfig
from django.http import HttpRequest


class AccessConfig(AppConfig):
    name = "access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        user_logged_in.connect(_begin_session, dispatch_uid="access.sessions")


def _begin_session(sender: object, request: HttpRequest, **named: object) -> None:
    """Note in the session when and from where the user signed in, whichever way they did."""
    if begin := getattr(request.session, "begin", None):
        begin(request)
