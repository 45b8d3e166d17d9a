"""Worker processes and their heartbeats."""

from django.db import models


class Heartbeat(models.Model):
    """The latest heartbeat of a worker process. /readyz needs one."""

    worker = models.CharField(max_length=64, primary_key=True)
    seen = models.DateTimeField()
    slots = models.PositiveIntegerField(default=0)
    without_broker = models.DateTimeField(null=True)  # since when no message reaches it; None: they do

    class Meta:
        db_table = "worker_heartbeat"

    def __str__(self) -> str:
        return self.worker
