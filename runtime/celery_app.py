"""The Celery application: `celery -A deployer worker`."""

import os

from celery import Celery
from celery.signals import worker_init

from . import amqps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
# Django's checks would load every address and page into a worker, which has no use for them; the web process runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

amqps.register()
app = Celery("deployer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _keep_secrets(**_: object) -> None:
    from django.conf import settings

    from .privacy import close_and_forget

    settings.FIELD_ENCRYPTION_KEYS  # noqa: B018 - reads all of the settings, before the environment is emptied
    close_and_forget()
