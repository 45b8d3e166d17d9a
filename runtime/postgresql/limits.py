"""How long anything in PostgreSQL may take, as the server's own settings. Pure.

They are set after connecting, never as a start-up parameter: poolers refuse those. Where a pooler stands between, they
are set in each transaction, because the next one may be carried out by another session of the server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Both ends of a connection notice within about 7 s that the other one is gone without a word: a probe after 5 s without
# a packet, and the end after 6 s without an answer.
PROBE_AFTER, PROBE_EVERY, PROBES = 5, 2, 3  # seconds, seconds, probes
UNANSWERED = 6000  # milliseconds for which what was sent may stay unacknowledged
NEWEST = 170000  # the version of PostgreSQL from which on it knows all of these settings
CONNECT = 3  # seconds, for each host
NAME = "deployer"  # of sessions on the server, unless DATABASE_URL has an application_name
SLACK = 5.0  # seconds that an answer may come later than the server's own limit on a statement


@dataclass(frozen=True, slots=True)
class Limits:
    """Milliseconds; 0: none. `suffix`: of what the sessions are called on the server."""

    suffix: str
    idle: int  # between two statements of one transaction
    lock: int  # waiting for one lock
    statement: int
    transaction: int


# Who answers a person waits longer for a row than who tries again by itself anyway.
WEB = Limits("", idle=5000, lock=10_000, statement=20_000, transaction=30_000)
WORKER = Limits("", idle=5000, lock=3000, statement=20_000, transaction=30_000)
# A migration reads and writes whole tables, and nobody else is to end it.
MIGRATION = Limits("-migrate", idle=60_000, lock=60_000, statement=0, transaction=0)

# What this process's next connections are given.
chosen: Limits = WEB


def choose(limits: Limits) -> None:
    global chosen
    chosen = limits


def of_transactions(limits: Limits, version: int, given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """What bounds a transaction, whatever its client does. `given`: what DATABASE_URL says holds instead."""
    wanted = {
        "idle_in_transaction_session_timeout": limits.idle,
        "lock_timeout": limits.lock,
        "statement_timeout": limits.statement,
    }
    if version >= NEWEST:
        wanted["transaction_timeout"] = limits.transaction
    return {name: str(value) for name, value in wanted.items()} | dict(given)


def of_sockets() -> dict[str, str]:
    """How the server notices that its client is gone. Django takes PostgreSQL 14 and newer, which know all of these."""
    wanted = {
        "tcp_keepalives_idle": PROBE_AFTER,
        "tcp_keepalives_interval": PROBE_EVERY,
        "tcp_keepalives_count": PROBES,
        "tcp_user_timeout": UNANSWERED,
        "client_connection_check_interval": 2000,  # while it works, or waits for a lock
    }
    return {name: str(value) for name, value in wanted.items()}


def answer_within(settings: Mapping[str, str]) -> float | None:
    """Seconds after which a server that says nothing is given up by its client; None where statements have no limit."""
    milliseconds = settings.get("statement_timeout", "0")
    return int(milliseconds) / 1000 + SLACK if milliseconds.isdigit() and int(milliseconds) else None
