"""What an error of the database means to whoever meets it. Pure."""

from django.db import Error, IntegrityError, OperationalError

LOCK_NOT_AVAILABLE = "55P03"
# Classes and codes of PostgreSQL with which a server says that it cannot do now what it may do again in a moment: a
# broken line, a server that starts or stops, a replica after a failover, a limit that ended a transaction.
_AWAY_CLASSES = ("08", "53", "57", "58", "40")
_AWAY_CODES = ("25006", "25P02", "25P03", "25P04", LOCK_NOT_AVAILABLE)


def _code(error: BaseException) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """Whether the same may be asked again in a moment: the database did not answer, and the question was not wrong."""
    if not isinstance(error, Error) or isinstance(error, IntegrityError):
        return False
    code = _code(error)
    return isinstance(error, OperationalError) or code.startswith(_AWAY_CLASSES) or code in _AWAY_CODES


def is_held(error: BaseException) -> bool:
    """Whether somebody held a row for longer than one waits for it."""
    return isinstance(error, Error) and _code(error) == LOCK_NOT_AVAILABLE
