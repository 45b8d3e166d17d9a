"""Where an operation's output speaks of trouble: what the step that failed printed last, and lines with certain words.

A host puts what its commands print into one file, errors or not, in the order in which it came. Its journal says how
much had been printed when a step began, and when the first undo did: what lies between is the failed step's.
"""

import re
from collections.abc import Callable

from .. import atoms
from ..models import Operation
from . import lines, logs

TAIL = 16384  # bytes of what a step printed that are looked at for its last lines
LAST_LINES = 50  # of the failed step count as errors


class Words(logs.Sought):
    """Words that programs use where something goes wrong."""

    longest = 16

    def __init__(self) -> None:
        words = rb"error|fatal|fail|exception|traceback|panic|denied|refused|not found|timed out|cannot|no such"
        self._one_case, self._pattern = True, re.compile(words)


class Anything(logs.Sought):
    """Every line that is not empty."""

    longest = 1

    def __init__(self) -> None:
        self._one_case, self._pattern = False, re.compile(rb"[^\r\n]+")


def of_failed_step(of: Operation) -> tuple[int, int] | None:
    """The bytes, from … up to …, that the step that failed printed; None where that is not known."""
    if not of.error_step:
        return None
    steps = list(of.steps.values_list("name", "output_start", "undo_start"))
    start = next((start for name, start, _ in reversed(steps) if name == of.error_step), None)
    shortened = of.output_size > atoms.output_limit(of.deployment.spec or {})
    if start is None or (shortened and start >= atoms.output_limit(of.deployment.spec or {})):
        return None  # places behind what a host left out are not its own any more
    size = logs.size(of.pk)
    end = min((undo for _, _, undo in steps if undo is not None and undo >= start), default=size)
    return min(start, size), size if shortened else min(end, size)


def search(of: Operation, enough: Callable[[], bool] = lambda: False) -> logs.Found:
    """All of it as a search's hits: `ends` counts from the beginning of the output."""
    size, part = logs.size(of.pk), of_failed_step(of)
    pieces: list[tuple[logs.Sought, int, int]] = [(Words(), 0, size)]
    if part:
        start = _last_lines(of.pk, *part)
        pieces = [(Words(), 0, start), (Anything(), start, part[1]), (Words(), part[1], size)]
    found = logs.Found()
    for sought, start, end in pieces:
        if start < end and not found.cut:
            met = logs.search(of.pk, sought, start, end, logs.MOST_LINES - len(found.lines), enough)
            found.cut = met.cut
            before = lines.number_at(of.pk, start) - 1
            found.hits += met.hits
            found.lines += met.lines
            found.places += met.places
            found.ends += [before + ended for ended in met.ends]
            found.next_offset = met.next_offset if found.next_offset is None else found.next_offset
    return found


def _last_lines(operation_id: int, start: int, end: int) -> int:
    """Where the last few lines of a stretch begin."""
    first = max(start, end - TAIL)
    said = b"".join(logs.read(operation_id, first, end))
    at = len(said.rstrip(b"\n"))
    for _ in range(LAST_LINES):
        at = said.rfind(b"\n", 0, at)
        if at < 0:
            return first
    return first + at + 1
