"""Celery's record of each task, in the table of django-celery-results: for display only, never for a decision.

django-celery-results writes each change of each task in the thread of the task: three statements, and a connection for
each thread. Here one thread collects them and writes all in one statement.
"""

import atexit
import logging
import threading
from time import monotonic
from typing import Any

from celery import states
from django.db import connection
from django.utils import timezone
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

BATCH_SECONDS = 3.0  # most tasks begin and end within it, and need one record
MAX_PENDING = 10_000  # records, while the database is unreachable
PRUNE_INTERVAL = 3600.0  # seconds
_FIELDS = (
    "status",
    "result",
    "traceback",
    "meta",
    "content_encoding",
    "content_type",
    "task_name",
    "task_args",
    "task_kwargs",
    "worker",
    "date_done",
)
log = logging.getLogger(__name__)


class BatchedResults(DatabaseBackend):
    """The configured result backend. Records are in the table BATCH_SECONDS later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.thread_safe = True  # one for all threads of the process
        self._change = threading.Condition()
        self._waiting: dict[str, TaskResult] = {}
        self._closing = False
        self._thread: threading.Thread | None = None
        self._pruned = monotonic()

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: str | None = None,
        request: Any = None,
        using: str | None = None,
    ) -> Any:
        content_type, content_encoding, encoded = self.encode_content(result)
        _, _, meta = self.encode_content({"children": self.current_task_children(request)})
        more = self._get_extended_properties(request, traceback) | {"traceback": traceback}
        with self._change:
            before = self._waiting.get(task_id)
            more["date_started"] = timezone.now() if status == states.STARTED else getattr(before, "date_started", None)
            record = TaskResult(
                task_id=task_id,
                status=status,
                result=encoded,
                meta=meta,
                content_type=content_type,
                content_encoding=content_encoding,
                **more,
            )
            if before or len(self._waiting) < MAX_PENDING:
                self._waiting[task_id] = record
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="records", daemon=True)
                self._thread.start()
                atexit.register(self._close)
            self._change.notify()
        return encoded

    def _run(self) -> None:
        while not self._closing:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                self._change.wait_for(lambda: self._closing, timeout=BATCH_SECONDS)
            try:
                self.write()
                self._prune()
            except Exception as error:  # noqa: BLE001 - no other thread writes them, and no decision depends on them
                log.warning("task records cannot be written yet: %s", type(error).__name__)
                with self._change:
                    self._change.wait_for(lambda: self._closing, timeout=1.0)
            finally:
                self._close_connection()

    def _close_connection(self) -> None:
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001 - it is unusable anyway
            log.debug("a connection could not be closed: %s", type(error).__name__)

    def write(self) -> None:
        """Write the waiting records. Raise the database's error and keep them waiting."""
        with self._change:
            records, self._waiting = self._waiting, {}
        try:
            TaskResult.objects.bulk_create(
                records.values(), update_conflicts=True, unique_fields=["task_id"], update_fields=_FIELDS
            )
        except Exception:
            with self._change:
                self._waiting = records | self._waiting
            raise

    def _prune(self) -> None:
        if monotonic() - self._pruned > PRUNE_INTERVAL:
            self._pruned = monotonic()
            self.cleanup()

    def _close(self) -> None:
        """Write the last records when the process ends."""
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)
