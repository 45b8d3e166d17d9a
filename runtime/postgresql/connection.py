"""A connection whose waits are limited, and that knows when the server last answered."""

import select
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, Self

import psycopg
from psycopg import errors, sql

from . import limits

CHECK_AFTER = 5.0  # seconds without an answer after which a connection is checked
CHECK_TIMEOUT = 2.0  # seconds


class Connection(psycopg.Connection):
    """`given`: server settings from DATABASE_URL. `pooler`: whether each transaction may run in another session
    ("transaction"), or not ("session", "none"); "auto": detected."""

    answer_within: float | None = limits.CONNECT_TIMEOUT  # seconds
    in_each_transaction = ""  # SQL
    last_answer = 0.0  # monotonic
    is_spent = False  # its server accepts no writes any more
    failing = False  # the last attempt of this process to connect failed (set on the class)

    @classmethod
    def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        given: Mapping[str, str] = MappingProxyType({}),
        pooler: str = "auto",
        autocommit: bool = False,
        **kwargs: Any,
    ) -> Self:
        try:
            new_connection = super().connect(conninfo, autocommit=True, **kwargs)
            try:
                new_connection._set_limits(given, pooler)
                new_connection.autocommit = autocommit
            except BaseException:
                new_connection.close()
                raise
        except errors.Error:
            cls.failing = True
            raise
        cls.failing = False
        return new_connection

    def _set_limits(self, given: Mapping[str, str], pooler: str) -> None:
        """Set the limits in one round trip. Behind a pooler the session is shared, so nothing is set in it.
        A pooler is detected by the session's process id, which differs from the server's own."""
        version = self.info.server_version
        bounds = limits.of_transactions(limits.chosen, version, given)
        settings = bounds | limits.of_sockets()
        direct = {
            "auto": sql.SQL("pg_backend_pid() = {}").format(self.info.backend_pid),
            "transaction": sql.SQL("false"),
        }.get(pooler, sql.SQL("true"))
        set_one = sql.SQL("CASE WHEN direct THEN set_config({}, {}, false) END")
        columns = [set_one.format(*pair) for pair in settings.items()]
        query = sql.SQL("SELECT direct, {} FROM (SELECT {} AS direct) d").format(sql.SQL(", ").join(columns), direct)
        row = self.execute(query).fetchone()
        if row is not None and not row[0]:
            parts = [sql.SQL("set_config({}, {}, true)").format(*pair) for pair in bounds.items()]
            self.in_each_transaction = sql.SQL("SELECT {}").format(sql.SQL(", ").join(parts)).as_string(self)
        self.answer_within = limits.answer_within(bounds)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait like psycopg, but give up a server that does not answer: nothing else would detect a frozen one."""
        limit = self.answer_within if timeout is None else timeout
        try:
            result = super().wait(gen, interval, limit)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            self.close()
            raise errors.ConnectionTimeout(f"the database did not answer within {limit:.0f} s") from None
        except errors.ReadOnlySqlTransaction:
            self.is_spent = True
            raise
        self.last_answer = monotonic()
        return result

    def begin_within_limits(self) -> None:
        """Set the limits of a transaction. Call it before each one."""
        if self.in_each_transaction:
            self.execute(self.in_each_transaction)

    @property
    def is_silent(self) -> bool:
        """Return whether no unexpected data has arrived: a server that is gone has closed its end."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def check(self) -> None:
        """Raise psycopg.Error if the server does not answer. Costs a round trip only after CHECK_AFTER seconds."""
        if not self.autocommit:
            # A thread gave it back in the middle of a transaction, which the pool has rolled back. A statement would
            # begin another one, and the next thread could not leave it.
            self.autocommit = True
        if self.is_silent and monotonic() - self.last_answer < CHECK_AFTER:
            return
        usual, self.answer_within = self.answer_within, CHECK_TIMEOUT
        try:
            self.execute("")
        finally:
            self.answer_within = usual
