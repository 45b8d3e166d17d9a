"""How an operation's bytes are read: as its service says, else as its host does, else as what they are beyond doubt."""

from deployer.engine import text

from ..models import Operation
from . import logs

LOOKED_AT = 64 * 1024  # bytes at the beginning, and at the end


def said(of: Operation) -> str:
    """What its service or its host says; needs both loaded."""
    return of.deployment.microservice.encoding or of.host.encoding


def of_data(of: Operation, data: bytes) -> str:
    """For a part of its output: where nothing is said, and the part alone leaves doubts, the whole is looked at."""
    return said(of) or ("" if _is_utf8(data) else text.recognised(data) or of_all(of))


def of_all(of: Operation) -> str:
    if encoding := said(of):
        return encoding
    size = logs.size(of.pk)
    parts = [(0, min(size, LOOKED_AT)), (max(LOOKED_AT, size - LOOKED_AT), size)]
    held = [b"".join(logs.read(of.pk, start, end)) for start, end in parts if start < end]
    return next((found for part in reversed(held) if (found := text.recognised(part))), "")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
