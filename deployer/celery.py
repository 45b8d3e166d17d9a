"""The Celery application, in the module where Celery looks for it: `celery -A deployer worker`."""

from runtime.celery_app import app

__all__ = ["app"]
