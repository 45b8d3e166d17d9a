"""The Celery application: `celery -A deployer worker`."""

import os

from celery import Celery
from celery.signals import worker_init

from . import amqps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
# Django's checks would load every URL and view into the worker, which does not use them; the web process runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

amqps.register()
app = Celery("deployer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _keep_secrets(**_: object) -> None:
    from django.conf import settings

    from .privacy import protect_process

    settings.FIELD_ENCRYPTION_KEYS  # noqa: B018 - load the settings before the secrets are removed from the environment
    protect_process()
