"""Whether this worker process is connected to its broker. Written by runtime/celery_consumer.py only."""

from time import monotonic


class BrokerConnection:
    """True while messages wake this process. `seconds`: since the last change."""

    def __init__(self) -> None:
        self._connected, self._since = False, monotonic()

    def __bool__(self) -> bool:
        return self._connected

    @property
    def seconds(self) -> float:
        return monotonic() - self._since

    def set(self, connected: bool) -> None:
        if connected != self._connected:
            self._connected, self._since = connected, monotonic()


broker_connection = BrokerConnection()
