"""The errors in an operation's output: the last lines of the failed step, and lines with certain words.

A host writes all output of its commands into one file, in order. Its journal has the size of that file when each step
began, and when the first undo began: the bytes in between are those of the failed step.
"""

import re
from collections.abc import Callable

from .. import atoms
from ..models import Operation
from . import lines, logs

TAIL_BYTES = 16384  # of a step's output that are searched for its last lines
LAST_LINES = 50  # of the failed step that count as errors


class ErrorWords(logs.SearchTerm):
    """Words that programs print when something goes wrong."""

    longest = 16

    def __init__(self) -> None:
        words = rb"error|fatal|fail|exception|traceback|panic|denied|refused|not found|timed out|cannot|no such"
        self._one_case, self._pattern = True, re.compile(words)


class AnyLine(logs.SearchTerm):
    """Every line that is not empty."""

    longest = 1

    def __init__(self) -> None:
        self._one_case, self._pattern = False, re.compile(rb"[^\r\n]+")


def of_failed_step(operation: Operation) -> tuple[int, int] | None:
    """Return (start, end) of the failed step's output; None where it is not known."""
    if not operation.error_step:
        return None
    steps = list(operation.steps.values_list("name", "output_start", "undo_start"))
    start = next((start for name, start, _ in reversed(steps) if name == operation.error_step), None)
    limit = atoms.output_limit(operation.deployment.spec or {})
    shortened = operation.output_size > limit
    if start is None or (shortened and start >= limit):
        return None  # offsets after the middle, which the host left out, are not valid
    size = logs.size(operation.pk)
    end = min((undo for _, _, undo in steps if undo is not None and undo >= start), default=size)
    return min(start, size), size if shortened else min(end, size)


def search(operation: Operation, enough: Callable[[], bool] = lambda: False) -> logs.SearchResult:
    """Return all error lines as a search does. `ends` counts from the beginning of the output."""
    size, step = logs.size(operation.pk), of_failed_step(operation)
    parts: list[tuple[logs.SearchTerm, int, int]] = [(ErrorWords(), 0, size)]
    if step:
        start = _last_lines(operation.pk, *step)
        parts = [(ErrorWords(), 0, start), (AnyLine(), start, step[1]), (ErrorWords(), step[1], size)]
    result = logs.SearchResult()
    for term, start, end in parts:
        if start < end and not result.cut:
            part = logs.search(operation.pk, term, start, end, logs.MAX_LINES - len(result.lines), enough)
            result.cut = part.cut
            before = lines.number_at(operation.pk, start) - 1
            result.hits += part.hits
            result.lines += part.lines
            result.places += part.places
            result.ends += [before + ended for ended in part.ends]
            result.next_offset = part.next_offset if result.next_offset is None else result.next_offset
    return result


def _last_lines(operation_id: int, start: int, end: int) -> int:
    """Return the offset at which the last lines of a part begin."""
    first = max(start, end - TAIL_BYTES)
    tail = b"".join(logs.read(operation_id, first, end))
    at = len(tail.rstrip(b"\n"))
    for _ in range(LAST_LINES):
        at = tail.rfind(b"\n", 0, at)
        if at < 0:
            return first
    return first + at + 1
