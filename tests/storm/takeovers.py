"""How long it takes until operations of a lost worker are taken over."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Lost:
    """An operation whose worker died or was frozen, until another worker has it."""

    owner: str
    since: float


class Takeovers:
    """`read` calls a function with the database as it is; the time of each takeover is added to `seconds`."""

    def __init__(self, read: Callable, seconds: list[float]):
        self._read, self._seconds = read, seconds
        self._lost: dict[int, Lost] = {}
        self._over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._follow, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def lost_by(self, pid: int, since: float) -> list[int]:
        """Return the operations of the worker process `pid`, and follow each until another worker has it."""
        from microservice.models import Operation
        from microservice.status import OperationStatus

        mine = Operation.objects.filter(status=OperationStatus.RUNNING, owner__contains=f":{pid}:")
        try:
            found = self._read(lambda: list(mine.values_list("pk", "owner")))
        except Exception:  # noqa: BLE001 - at the very end of a storm its database is gone
            return []
        for number, owner in found:
            self._lost[number] = Lost(owner, since)
        return [number for number, _ in found]

    def _follow(self) -> None:
        from django.db import DatabaseError

        while not self._over.wait(0.2):
            if not self._lost:
                continue
            try:
                self._read_owners()
            except DatabaseError:
                continue

    def _read_owners(self) -> None:
        from microservice.models import Operation

        numbers = list(self._lost)
        for number, owner in Operation.objects.filter(pk__in=numbers).values_list("pk", "owner"):
            lost = self._lost.get(number)
            if lost is not None and owner != lost.owner:
                self._lost.pop(number, None)
                if owner:  # empty: it was let go by its own worker
                    self._seconds.append(time.monotonic() - lost.since)
