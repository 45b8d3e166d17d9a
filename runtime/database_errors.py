"""Classify database errors. Pure."""

from django.db import Error, IntegrityError, OperationalError

LOCK_NOT_AVAILABLE = "55P03"
# PostgreSQL's error classes and codes for temporary conditions: a broken connection, a server that starts or stops, a
# replica after a failover, a limit that ended a transaction.
_AWAY_CLASSES = ("08", "53", "57", "58", "40")
_AWAY_CODES = ("25006", "25P02", "25P03", "25P04", LOCK_NOT_AVAILABLE)


def _code(error: BaseException) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """Return whether the statement may succeed later: the database did not answer, and the statement was valid."""
    if not isinstance(error, Error) or isinstance(error, IntegrityError):
        return False
    code = _code(error)
    return isinstance(error, OperationalError) or code.startswith(_AWAY_CLASSES) or code in _AWAY_CODES


def is_held(error: BaseException) -> bool:
    """Return whether the statement timed out waiting for a row lock."""
    return isinstance(error, Error) and _code(error) == LOCK_NOT_AVAILABLE
