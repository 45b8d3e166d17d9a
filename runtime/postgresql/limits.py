"""Time limits of PostgreSQL, as server settings. Pure.

They are set after connecting, never as start-up parameters, which poolers refuse. Behind a pooler they are set in each
transaction, because the next one may run in another session of the server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Each end of a connection detects within about 7 s that the other is gone: a probe after 5 s without a packet, and the
# end after 6 s without an answer.
PROBE_AFTER, PROBE_EVERY, PROBES = 5, 2, 3  # seconds, seconds, probes
UNANSWERED = 6000  # milliseconds that sent data may stay unacknowledged
LATEST_VERSION = 170000  # the PostgreSQL version that knows all of these settings
CONNECT_TIMEOUT = 3  # seconds, for each host
NAME = "deployer"  # of sessions on the server, unless DATABASE_URL has an application_name
ANSWER_SLACK = 5.0  # seconds added to the server's own limit on a statement


@dataclass(frozen=True, slots=True)
class Limits:
    """Milliseconds; 0: none. `suffix`: of the sessions' application name."""

    suffix: str
    idle: int  # between two statements of one transaction
    lock: int  # waiting for one lock
    statement: int
    transaction: int


# A web process waits longer for a row lock than a worker, which retries by itself.
WEB = Limits("", idle=5000, lock=10_000, statement=20_000, transaction=30_000)
WORKER = Limits("", idle=5000, lock=3000, statement=20_000, transaction=30_000)
# A migration reads and writes whole tables, and must not be ended by others.
MIGRATION = Limits("-migrate", idle=60_000, lock=60_000, statement=0, transaction=0)

# The limits of this process's next connections.
chosen: Limits = WEB


def choose(limits: Limits) -> None:
    global chosen
    chosen = limits


def of_transactions(limits: Limits, version: int, given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the settings that limit a transaction. `given`: settings of DATABASE_URL, which take precedence."""
    wanted = {
        "idle_in_transaction_session_timeout": limits.idle,
        "lock_timeout": limits.lock,
        "statement_timeout": limits.statement,
    }
    if version >= LATEST_VERSION:
        wanted["transaction_timeout"] = limits.transaction
    return {name: str(value) for name, value in wanted.items()} | dict(given)


def of_sockets() -> dict[str, str]:
    """Return the settings by which the server detects that its client is gone (PostgreSQL 14 and newer)."""
    wanted = {
        "tcp_keepalives_idle": PROBE_AFTER,
        "tcp_keepalives_interval": PROBE_EVERY,
        "tcp_keepalives_count": PROBES,
        "tcp_user_timeout": UNANSWERED,
        "client_connection_check_interval": 2000,  # while it works, or waits for a lock
    }
    return {name: str(value) for name, value in wanted.items()}


def answer_within(settings: Mapping[str, str]) -> float | None:
    """Return the seconds after which the client gives up a silent server; None if statements have no limit."""
    milliseconds = settings.get("statement_timeout", "0")
    return int(milliseconds) / 1000 + ANSWER_SLACK if milliseconds.isdigit() and int(milliseconds) else None
