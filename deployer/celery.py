"""The Celery application: `celery -A deployer worker`."""
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")

app = Celery("deployer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
