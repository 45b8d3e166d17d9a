"""The connections of one process. A server that comes back is used again within a second or two."""

from typing import Any

from psycopg import Error
from psycopg_pool import ConnectionPool

from .connection import Connection

WAIT, WAIT_WHILE_AWAY = 10.0, 2.0  # seconds that a thread waits for a connection
# How long one connection is tried for, with pauses that double from a second on: then the next try begins anew, so that
# the pauses never grow beyond these few seconds however long the server is away.
TRY_FOR = 5.0


class Pool(ConnectionPool[Connection]):
    def __init__(self, max_size: int, **kwargs: Any):
        super().__init__(
            min_size=1,
            max_size=max_size,
            open=False,
            connection_class=Connection,
            check=self._look_at,
            timeout=WAIT,
            max_idle=60,
            reconnect_timeout=TRY_FOR,
            reconnect_failed=ConnectionPool.check,
            **kwargs,
        )

    def getconn(self, timeout: float | None = None) -> Connection:
        return super().getconn(WAIT_WHILE_AWAY if timeout is None and Connection.failing else timeout)

    def putconn(self, conn: Connection) -> None:
        if conn.is_spent:
            conn.close()  # the next one may lead to the server that takes writes
        super().putconn(conn)

    @staticmethod
    def check_connection(conn: Connection) -> None:
        conn.check()

    def _look_at(self, conn: Connection) -> None:
        """Where one is broken the others most likely are: all are made anew, instead of each being found out by
        somebody who then has to wait."""
        try:
            conn.check()
        except Error:
            self.drain()
            raise
