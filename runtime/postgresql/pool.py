"""The connection pool of one process. A server that returns is used again within two seconds."""

from typing import Any

from psycopg import Error
from psycopg_pool import ConnectionPool

from .connection import Connection

WAIT_TIMEOUT, AWAY_WAIT_TIMEOUT = 10.0, 2.0  # seconds that a thread waits for a connection
# Seconds of attempts for one connection, with pauses that double from one second. Then the attempts start anew, so that
# pauses stay within these seconds however long the server is away.
RECONNECT_TIMEOUT = 5.0


class Pool(ConnectionPool[Connection]):
    def __init__(self, max_size: int, **kwargs: Any):
        super().__init__(
            min_size=1,
            max_size=max_size,
            open=False,
            connection_class=Connection,
            check=self._check_or_drain,
            timeout=WAIT_TIMEOUT,
            max_idle=60,
            reconnect_timeout=RECONNECT_TIMEOUT,
            reconnect_failed=ConnectionPool.check,
            **kwargs,
        )

    def getconn(self, timeout: float | None = None) -> Connection:
        return super().getconn(AWAY_WAIT_TIMEOUT if timeout is None and Connection.failing else timeout)

    def putconn(self, conn: Connection) -> None:
        if conn.is_spent:
            conn.close()  # the next one may reach the server that accepts writes
        super().putconn(conn)

    @staticmethod
    def check_connection(conn: Connection) -> None:
        conn.check()

    def _check_or_drain(self, conn: Connection) -> None:
        """Check a connection. If it is broken, the others most likely are too: replace all of them."""
        try:
            conn.check()
        except Error:
            self.drain()
            raise
