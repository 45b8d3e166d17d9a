"""Output by its lines, numbered from 1: where a line begins, which line an offset is in, and a window of some of them.

Each piece of output knows how many lines ended before it, so a jump reads one piece, however long the log is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..models import Output
from . import logs

AT_ONCE = 300  # lines in one window
MOST_BYTES = 256 * 1024  # of one window, where lines are long
SHOWN = 16 * 1024  # bytes of one line that are looked at at all: more of it is not shown (terminal.LINE_LIMIT)


@dataclass(slots=True)
class Window:
    """Some lines: (number, bytes without the line's end). `next`: the line that follows; None behind the last one."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    next: int | None = None

    @property
    def first(self) -> int:
        return self.lines[0][0] if self.lines else 1


def start_of(operation_id: int, number: int) -> int | None:
    """The offset at which a line begins; None where there is no such line. Reads one piece."""
    before = number - 1  # line ends in front of it
    if before <= 0:
        return 0
    rows = Output.objects.filter(operation_id=operation_id, line__lt=before).order_by("-line", "-start")
    row = rows.values_list("start", "line", "data").first()
    if row is None:
        return None
    start, line, data = row[0], row[1], bytes(row[2])
    at = -1
    for _ in range(before - line):
        at = data.find(b"\n", at + 1)
        if at < 0:
            return None
    return start + at + 1


def number_at(operation_id: int, offset: int) -> int:
    """The number of the line that holds the byte at `offset`. Reads one piece."""
    rows = Output.objects.filter(operation_id=operation_id, start__lte=offset).order_by("-start")
    row = rows.values_list("start", "line", "data").first()
    return 1 if row is None else row[1] + bytes(row[2])[: offset - row[0]].count(b"\n") + 1


def count(operation_id: int) -> int:
    """How many lines there are, one without an end included. Reads one piece."""
    row = Output.objects.filter(operation_id=operation_id).order_by("-start").values_list("line", "data").first()
    if row is None:
        return 0
    data = bytes(row[1])
    return row[0] + data.count(b"\n") + (not data.endswith(b"\n"))


def window(operation_id: int, first: int, whole: bool, most: int = AT_ONCE) -> Window:
    """Up to `most` lines from line `first` on. `whole`: nothing more will come, so a last line without end counts."""
    first = max(1, first)
    start, size = start_of(operation_id, first), logs.size(operation_id)
    if start is None or start >= size:
        return Window()
    found = Window()
    for number, line, ended in _cut(operation_id, first, start, size):
        if not ended and not whole:
            return found
        found.lines.append((number, line))
        if len(found.lines) == most:
            found.next = number + 1
            break
    else:
        found.next = found.lines[-1][0] + 1 if found.lines and _more(operation_id, found.lines[-1][0] + 1) else None
    if found.next is not None and not _more(operation_id, found.next):
        found.next = None
    return found


def _more(operation_id: int, number: int) -> bool:
    start = start_of(operation_id, number)
    return start is not None and start < logs.size(operation_id)


def _cut(operation_id: int, number: int, start: int, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Lines with their numbers, and whether their end is there. Stops after MOST_BYTES, but never before one line.

    A line that is longer than that is given by its beginning: the next window finds the next line by itself.
    """
    held = b"".join(logs.read(operation_id, start, min(size, start + MOST_BYTES)))
    lines = held.split(b"\n")
    rest = lines.pop()
    for line in lines:
        yield number, line[:SHOWN], True
        number += 1
    if start + len(held) == size:
        if rest:
            yield number, rest[:SHOWN], False
    elif not lines:
        yield number, rest[:SHOWN], True
