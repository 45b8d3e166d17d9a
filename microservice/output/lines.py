"""Output by its lines, numbered from 1: where a line begins, which line an offset is in, and a window of some of them.

Each piece of output knows how many lines ended before it, so a jump reads one piece, however long the log is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..models import Output
from . import frames, logs

AT_ONCE = 300  # lines in one window
MOST_BYTES = 256 * 1024  # of one window, where lines are long
SHOWN = 16 * 1024  # bytes of one line that are given: more of it is shown where it is asked for (terminal.LINE_LIMIT)


@dataclass(slots=True)
class Window:
    """Some lines: (number, bytes without the line's end). `next`: the line that follows; None behind the last one.
    `places`: where in the whole what is here of each begins. `cut`: the lines of which not all is here. `unfinished`:
    the last line is still being written."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    next: int | None = None
    places: list[int] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)
    unfinished: bool = False

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
    """Up to `most` lines from line `first` on. `whole`: nothing more will come, so a last line without end is done."""
    first = max(1, first)
    start, size = start_of(operation_id, first), logs.size(operation_id)
    if start is None or start >= size:
        return Window()
    found = Window()
    for number, line, place, whole_line, ended in _cut(operation_id, first, start, size):
        found.lines.append((number, line))
        found.places.append(place)
        if not whole_line:
            found.cut.add(number)
        if not ended and not whole:
            found.unfinished = True
            return found
        if len(found.lines) == most:
            found.next = number + 1
            break
    else:
        found.next = found.lines[-1][0] + 1 if found.lines else None
    if found.next is not None and not _more(operation_id, found.next):
        found.next = None
    return found


def _more(operation_id: int, number: int) -> bool:
    start = start_of(operation_id, number)
    return start is not None and start < logs.size(operation_id)


def extent(operation_id: int, number: int) -> tuple[int, int] | None:
    """The bytes from … up to …, without its end, of a line that is there."""
    start, size = start_of(operation_id, number), logs.size(operation_id)
    if start is None or start >= size:
        return None
    after = start_of(operation_id, number + 1)
    return start, size if after is None else after - 1


def _cut(operation_id: int, number: int, start: int, size: int) -> Iterator[tuple[int, bytes, int, bool, bool]]:
    """Lines: number, what is given of it, where that begins, whether it is all of it, and whether its end is there.
    Stops after MOST_BYTES, but never before one line."""
    held = b"".join(logs.read(operation_id, start, min(size, start + MOST_BYTES)))
    behind = start + len(held)
    lines = held.split(b"\n")
    rest = lines.pop()
    for line in lines:
        yield number, *_given(line, start), True
        number, start = number + 1, start + len(line) + 1
    if behind == size:
        if rest:
            yield number, *_given(rest, start), False
    elif not lines:
        begin, end = extent(operation_id, number) or (start, size)
        first = max(begin, end - frames.FRAMES)
        tail = b"".join(logs.read(operation_id, first, end))
        given, place, _ = _given(tail, first) if b"\r" in tail else (rest[:SHOWN], begin, False)
        yield number, given, place, False, True


def _given(line: bytes, place: int) -> tuple[bytes, int, bool]:
    """What a page needs of a line: all of a short one; of a long one, where it was rewritten, the end."""
    if len(line) <= SHOWN:
        return line, place, True
    start, end, _ = frames.last(line)
    return line[start : min(end, start + SHOWN)], place + start, False
