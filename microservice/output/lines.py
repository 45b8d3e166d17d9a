"""Output by lines, numbered from 1: the offset of a line, the line of an offset, and a window of lines.

Each row of output stores how many lines ended before it, so a jump reads one row, however long the log is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..models import Output
from . import frames, logs

MAX_LINES = 300  # in one window
MAX_BYTES = 256 * 1024  # of one window, where lines are long
MAX_LINE_BYTES = 16 * 1024  # of one line in a window; pages show terminal.LINE_LIMIT of it, and more on request


@dataclass(slots=True)
class Window:
    """Some lines, as (number, bytes without the line's end).

    `next`: the number of the following line; None after the last one. `places`: the offset of each line's bytes in the
    output. `cut`: the numbers of lines that are not complete here. `unfinished`: the last line is still being written.
    """

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    next: int | None = None
    places: list[int] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)
    unfinished: bool = False

    @property
    def first(self) -> int:
        return self.lines[0][0] if self.lines else 1


def start_of(operation_id: int, number: int) -> int | None:
    """Return the offset of a line; None where it does not exist. Reads one row."""
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
    """Return the number of the line with the byte at `offset`. Reads one row."""
    rows = Output.objects.filter(operation_id=operation_id, start__lte=offset).order_by("-start")
    row = rows.values_list("start", "line", "data").first()
    return 1 if row is None else row[1] + bytes(row[2])[: offset - row[0]].count(b"\n") + 1


def count(operation_id: int) -> int:
    """Return the number of lines, including one without an end. Reads one row."""
    row = Output.objects.filter(operation_id=operation_id).order_by("-start").values_list("line", "data").first()
    if row is None:
        return 0
    data = bytes(row[1])
    return row[0] + data.count(b"\n") + (not data.endswith(b"\n"))


def window(operation_id: int, first: int, whole: bool, limit: int = MAX_LINES) -> Window:
    """Return up to `limit` lines from line `first` on. `whole`: the output is complete and will not grow."""
    first = max(1, first)
    start, size = start_of(operation_id, first), logs.size(operation_id)
    if start is None or start >= size:
        return Window()
    lines = Window()
    for number, line, place, complete, ended in _read_lines(operation_id, first, start, size):
        lines.lines.append((number, line))
        lines.places.append(place)
        if not complete:
            lines.cut.add(number)
        if not ended and not whole:
            lines.unfinished = True
            return lines
        if len(lines.lines) == limit:
            lines.next = number + 1
            break
    else:
        lines.next = lines.lines[-1][0] + 1 if lines.lines else None
    if lines.next is not None and not _exists(operation_id, lines.next):
        lines.next = None
    return lines


def _exists(operation_id: int, number: int) -> bool:
    start = start_of(operation_id, number)
    return start is not None and start < logs.size(operation_id)


def extent(operation_id: int, number: int) -> tuple[int, int] | None:
    """Return (start, end) of a line without its line end; None where it does not exist."""
    start, size = start_of(operation_id, number), logs.size(operation_id)
    if start is None or start >= size:
        return None
    after = start_of(operation_id, number + 1)
    return start, size if after is None else after - 1


def _read_lines(operation_id: int, number: int, start: int, size: int) -> Iterator[tuple[int, bytes, int, bool, bool]]:
    """Yield (number, bytes, their offset, whether they are complete, whether the line has its end).

    Stops after MAX_BYTES, but never before one line.
    """
    data = b"".join(logs.read(operation_id, start, min(size, start + MAX_BYTES)))
    data_end = start + len(data)
    lines = data.split(b"\n")
    rest = lines.pop()
    for line in lines:
        yield number, *_clipped(line, start), True
        number, start = number + 1, start + len(line) + 1
    if data_end == size:
        if rest:
            yield number, *_clipped(rest, start), False
    elif not lines:
        begin, end = extent(operation_id, number) or (start, size)
        first = max(begin, end - frames.MAX_BYTES)
        tail = b"".join(logs.read(operation_id, first, end))
        clipped, place, _ = _clipped(tail, first) if b"\r" in tail else (rest[:MAX_LINE_BYTES], begin, False)
        yield number, clipped, place, False, True


def _clipped(line: bytes, place: int) -> tuple[bytes, int, bool]:
    """Return what a page needs of a line: all of a short one; of a long one its last frame."""
    if len(line) <= MAX_LINE_BYTES:
        return line, place, True
    start, end, _ = frames.last(line)
    return line[start : min(end, start + MAX_LINE_BYTES)], place + start, False
