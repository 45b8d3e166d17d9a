"""Connections to jump hosts, shared by all operations of a process that go through them."""

import threading
from collections.abc import Callable
from typing import Any

from .endpoint import Endpoint, Limits


class _Slot:
    def __init__(self) -> None:
        self.users = 0
        self.connecting = threading.Lock()
        self.connection: Any = None


class SharedConnections:
    """Counts a connection's users. The first connects, the last closes; a dead one is replaced for the next user."""

    def __init__(self, connect: Callable[[Endpoint, Limits], Any]):
        self._connect = connect
        self._lock = threading.Lock()
        self._slots: dict[Endpoint, _Slot] = {}

    def borrow(self, endpoint: Endpoint, limits: Limits) -> tuple[Any, Callable[[], None]]:
        """Return a living connection, and the function that gives it back, to be called once. Raise as `connect`."""
        with self._lock:
            slot = self._slots.setdefault(endpoint, _Slot())
            slot.users += 1
        try:
            with slot.connecting:  # others wait here meanwhile and share the result
                if slot.connection is None or not slot.connection.alive:
                    if slot.connection is not None:
                        slot.connection.close()
                    slot.connection = self._connect(endpoint, limits)
                return slot.connection, lambda: self._give_back(endpoint, slot)
        except BaseException:
            self._give_back(endpoint, slot)
            raise

    def _give_back(self, endpoint: Endpoint, slot: _Slot) -> None:
        with self._lock:
            slot.users -= 1
            if slot.users:
                return
            del self._slots[endpoint]
        if slot.connection is not None:
            slot.connection.close()
