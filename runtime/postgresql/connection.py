"""A connection that waits for its server within limits, and knows when it last heard of it."""

import select
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, Self

import psycopg
from psycopg import errors, sql

from . import limits

FRESH = 5.0  # seconds after an answer for which a silent socket is believed
CHECK = 2.0  # seconds within which a connection must answer before it is used


class Connection(psycopg.Connection):
    """`given`: settings of the server that DATABASE_URL names. `pooler`: whether something may give each transaction to
    another session ("transaction"), or not ("session", "none"); "auto": it is found out."""

    answer_within: float | None = limits.CONNECT  # seconds
    in_each_transaction = ""  # SQL
    heard = 0.0  # monotonic
    is_spent = False  # it leads to a server that takes no writes any more
    failing = False  # nobody could connect when it was last tried; of the class, so of this process

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
            made = super().connect(conninfo, autocommit=True, **kwargs)
            try:
                made._set_limits(given, pooler)
                made.autocommit = autocommit
            except BaseException:
                made.close()
                raise
        except errors.Error:
            cls.failing = True
            raise
        cls.failing = False
        return made

    def _set_limits(self, given: Mapping[str, str], pooler: str) -> None:
        """In one statement and one round trip. Behind a pooler the session is not this client's: nothing is set in it.
        A pooler is known by its numbers: what it calls the session is not what the server calls it."""
        version = self.info.server_version
        bounds = limits.of_transactions(limits.chosen, version, given)
        settings = bounds | limits.of_sockets()
        direct = {
            "auto": sql.SQL("pg_backend_pid() = {}").format(self.info.backend_pid),
            "transaction": sql.SQL("false"),
        }.get(pooler, sql.SQL("true"))
        one = sql.SQL("CASE WHEN direct THEN set_config({}, {}, false) END")
        asked = [one.format(*pair) for pair in settings.items()]
        query = sql.SQL("SELECT direct, {} FROM (SELECT {} AS direct) d").format(sql.SQL(", ").join(asked), direct)
        row = self.execute(query).fetchone()
        if row is not None and not row[0]:
            parts = [sql.SQL("set_config({}, {}, true)").format(*pair) for pair in bounds.items()]
            self.in_each_transaction = sql.SQL("SELECT {}").format(sql.SQL(", ").join(parts)).as_string(self)
        self.answer_within = limits.answer_within(bounds)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As everywhere, but a server that does not answer is given up: nothing else would notice that it is frozen."""
        limit = self.answer_within if timeout is None else timeout
        try:
            found = super().wait(gen, interval, limit)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            self.close()
            raise errors.ConnectionTimeout(f"the database did not answer within {limit:.0f} s") from None
        except errors.ReadOnlySqlTransaction:
            self.is_spent = True
            raise
        self.heard = monotonic()
        return found

    def begin_within_limits(self) -> None:
        """To be called when a transaction is about to begin."""
        if self.in_each_transaction:
            self.execute(self.in_each_transaction)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come that nobody asked for: a server that is gone has closed its end."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def check(self) -> None:
        """Raises psycopg.Error where the server does not answer. Costs a round trip only after a while without any."""
        if self.is_silent and monotonic() - self.heard < FRESH:
            return
        usual, self.answer_within = self.answer_within, CHECK
        try:
            self.execute("")
        finally:
            self.answer_within = usual
