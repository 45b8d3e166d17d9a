"""The encoding of an operation's output: its service's, else its host's, else one that is recognised beyond doubt."""

from deployer.engine import text

from ..models import Operation
from . import logs

SAMPLE_BYTES = 64 * 1024  # at the beginning, and at the end


def configured(operation: Operation) -> str:
    """Return the encoding of its service or its host, which must both be loaded; "" where there is none."""
    return operation.deployment.microservice.encoding or operation.host.encoding


def of_data(operation: Operation, data: bytes) -> str:
    """Return the encoding of a part of the output. Samples the whole only where the part alone is ambiguous."""
    return configured(operation) or ("" if _is_utf8(data) else text.recognised(data) or of_all(operation))


def of_all(operation: Operation) -> str:
    """Return the encoding of the whole output, "" where it is UTF-8 or not known."""
    if encoding := configured(operation):
        return encoding
    size = logs.size(operation.pk)
    parts = [(0, min(size, SAMPLE_BYTES)), (max(SAMPLE_BYTES, size - SAMPLE_BYTES), size)]
    samples = [b"".join(logs.read(operation.pk, start, end)) for start, end in parts if start < end]
    return next((encoding for sample in reversed(samples) if (encoding := text.recognised(sample))), "")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
