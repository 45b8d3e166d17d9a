"""The worker processes, and Celery's record of each task. For display only: nothing is decided by it."""

from django_celery_results.models import TaskResult

from microservice.models import Heartbeat

from .paging import PAGE, Page, newest_first


def workers() -> list[Heartbeat]:
    """Return the worker processes, last seen first; at most 200."""
    return list(Heartbeat.objects.order_by("-seen")[:200])


def tasks(task: str = "", after: str = "", size: int = PAGE) -> Page:
    """Return task records, newest first; `task`: only the one with this id."""
    rows = TaskResult.objects.only("task_id", "task_name", "status", "worker", "date_created", "date_done", "traceback")
    return newest_first(rows.filter(task_id=task) if task else rows, after, size)
