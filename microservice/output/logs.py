"""Reading what an operation's commands printed: any stretch of bytes, and every place where a text occurs.

Output is rows of bytes, each with its offset in the whole. No reader ever holds more than a few of them: a log of
gigabytes passes through in pieces, and between two pieces no database connection is kept.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db.models import BigIntegerField, F
from django.db.models.functions import Length

from runtime.db_connections import release_connection

from ..models import Output
from . import frames

AT_ONCE = 8  # rows fetched by one query
LINE_PIECE = 64 * 1024  # a line without an end is searched in pieces of this many bytes
LINE_SHOWN = 2000  # bytes of a found line that are given, with the first occurrence in it among them
MOST_LINES = 1000  # found lines in one answer


def size(operation_id: int) -> int:
    """How many bytes there are by now."""
    last = (
        Output.objects.filter(operation_id=operation_id)
        .order_by("-start")
        .annotate(end=F("start") + Length("data", output_field=BigIntegerField()))
        .values_list("end", flat=True)
        .first()
    )
    return last or 0


def read(operation_id: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` up to (not including) `end`, in pieces; exactly `end - start` of them.

    Bytes that were never received are given as spaces, so that every offset stays true.
    """
    at = start
    while at < end:
        rows = _rows(operation_id, at, end)
        release_connection()
        if not rows:
            break
        for row_start, data in rows:
            if row_start > at:
                yield b" " * (min(row_start, end) - at)
                at = min(row_start, end)
            if piece := data[at - row_start : end - row_start]:
                at += len(piece)
                yield piece
    if at < end:
        yield b" " * (end - at)


def _rows(operation_id: int, at: int, end: int) -> list[tuple[int, bytes]]:
    """The next few rows that hold bytes of at … end, oldest first."""
    output = Output.objects.filter(operation_id=operation_id)
    first = output.filter(start__lte=at).order_by("-start").values_list("start", flat=True).first()
    rows = output.filter(start__gte=at if first is None else first, start__lt=end)
    found = rows.order_by("start").values_list("start", "data")[:AT_ONCE]
    return [(start, bytes(data)) for start, data in found if start + len(data) > at]


@dataclass
class Found:
    """What a search met: `hits` counts every occurrence, `lines` holds the first of the lines they are in."""

    hits: int = 0
    lines: list[tuple[int, bytes]] = field(default_factory=list)  # (offset of the line, its bytes)
    next_offset: int | None = None  # where to go on: the first matching line that had no room, or where time was over
    cut: bool = False  # the end was not reached: time was over
    ends: list[int] = field(default_factory=list)  # for each of `lines`: how many ended before it in what was read
    # For each of `lines`: the offset of the occurrence, how much of the line is left out before what is given, whether
    # something is left out behind it, and whether a page shows the occurrence without being asked for more.
    places: list[tuple[int, int, bool, bool]] = field(default_factory=list)


class Sought:
    """What is looked for: a text, literally, whatever its case; `longest` bytes at most are one occurrence. `encoding`:
    of what is not UTF-8, see encodings.py."""

    _encoding = ""

    def __init__(self, text: str, encoding: str = ""):
        self._encoding = "" if encoding in ("", "utf-8") else encoding
        codecs = ("utf-8", self._encoding) if self._encoding and not text.isascii() else ("utf-8",)
        longest = (sum(max(map(len, _forms(character, codec))) for character in text) for codec in codecs)
        self.longest = max(len(text.encode()), *longest)
        # Bytes in one case are found without a pattern's alternatives, which is ten times as fast; beyond ASCII only
        # a pattern knows both cases of a character.
        self._one_case = text.isascii()
        self._pattern = re.compile(re.escape(text.lower().encode())) if self._one_case else pattern_of(text, *codecs)

    def finditer(self, data: bytes) -> Iterator[re.Match[bytes]]:
        found = self._pattern.finditer(data.lower() if self._one_case else data)
        return (match for match in found if self._begins_there(data, match.start())) if self._encoding else found

    def _begins_there(self, data: bytes, at: int) -> bool:
        """Not in the middle of a character, whose second byte may look like a letter."""
        if at == 0 or data[at - 1] < 0x80:
            return True
        start = at
        while start > max(0, at - 4096) and data[start - 1] >= 0x30:
            start -= 1
        for codec in (self._encoding, "utf-8"):
            try:
                data[start:at].decode(codec)
            except UnicodeDecodeError:
                continue
            return True
        return False


def search(
    operation_id: int,
    text: str | Sought,
    start: int,
    end: int,
    most: int = MOST_LINES,
    enough: Callable[[], bool] = lambda: False,
) -> Found:
    """Every occurrence of `text` between two offsets, literally, whatever its case. `enough` is asked between two
    pieces: where it says so, `next_offset` says from where nothing was looked at."""
    sought = Sought(text) if isinstance(text, str) else text
    found = Found()
    ended = 0
    for offset, stretch in _stretches(read(operation_id, start, end), start, sought):
        _collect(found, sought, offset, stretch, most, ended)
        ended += stretch.count(b"\n")
        if enough() and (behind := offset + len(stretch)) < end:
            found.cut = True
            if found.next_offset is None:
                found.next_offset = behind if stretch.endswith(b"\n") else max(offset + 1, behind - sought.longest + 1)
            break
    return found


def pattern_of(text: str, *codecs: str) -> re.Pattern[bytes]:
    """Matches the bytes of `text`, in UTF-8 or the encodings named, in either case. Characters are but themselves."""
    ways = (
        b"".join(b"(?:" + b"|".join(map(re.escape, _forms(character, codec))) + b")" for character in text)
        for codec in codecs or ("utf-8",)
    )
    return re.compile(b"|".join(ways))


def _forms(character: str, codec: str = "utf-8") -> list[bytes]:
    """Never empty: what an encoding has no character for is looked for in UTF-8."""
    forms = set()
    for form in (character, character.lower(), character.upper()):
        try:
            forms.add(form.encode(codec))
        except UnicodeEncodeError:
            forms.add(form.encode("utf-8", "replace"))
    return sorted(forms)


def _stretches(pieces: Iterator[bytes], start: int, sought: Sought) -> Iterator[tuple[int, bytes]]:
    """Cuts a stream, with each part's offset, so that every occurrence lies whole in exactly one part.

    That is after a line's end; a line longer than LINE_PIECE is cut inside, and what may be the beginning of an
    occurrence (fewer than its `longest` bytes) comes again with the next part.
    """
    held, offset = b"", start
    for piece in pieces:
        held += piece
        cut = held.rfind(b"\n") + 1
        if cut:
            yield offset, held[:cut]
            held, offset = held[cut:], offset + cut
        if len(held) > LINE_PIECE:
            last = max((match.end() for match in sought.finditer(held)), default=0)
            cut = max(last, len(held) - sought.longest + 1)
            yield offset, held
            held, offset = held[cut:], offset + cut
    if held:
        yield offset, held


def _collect(found: Found, sought: Sought, offset: int, stretch: bytes, most: int, ended: int) -> None:
    end = line = -1  # of the line that was met last: what else is in it costs one comparison
    frame = -1  # where the last frame of that line begins, while only earlier ones were met in it
    counted = 0  # how far `ended` counts the lines of the stretch
    for match in sought.finditer(stretch):
        found.hits += 1
        if match.start() < end:
            if 0 <= frame < match.start():
                _give(found, stretch, offset, match, line, end)  # of several in one line, the first that a page shows
                frame = -1
            continue
        line = stretch.rfind(b"\n", max(0, end), match.start()) + 1
        end = stretch.find(b"\n", match.end())
        end = len(stretch) if end < 0 else end
        if len(found.lines) < most:
            ended, counted = ended + stretch.count(b"\n", counted, line), line
            found.lines.append((offset + line, b""))
            found.places.append((0, 0, False, False))
            _give(found, stretch, offset, match, line, end)
            found.ends.append(ended)
            frame = -1 if found.places[-1][3] else stretch.rfind(b"\r", line, max(line, end - 1))
        else:
            frame = -1
            if found.next_offset is None:
                found.next_offset = offset + line


def _give(found: Found, stretch: bytes, offset: int, match: re.Match[bytes], line: int, end: int) -> None:
    """Of a short line all, of a long one what stands around the occurrence."""
    start, stop = line, end
    if end - line > LINE_SHOWN:
        start = max(line, match.start() - LINE_SHOWN // 4)
        stop = min(end, max(match.end(), start + LINE_SHOWN))
    whole = stretch[line:end] if end - line <= LINE_PIECE else b""
    shown = bool(whole) and frames.is_shown(whole, match.start() - line, match.end() - match.start())
    found.lines[-1] = (found.lines[-1][0], stretch[start:stop])
    found.places[-1] = (offset + match.start(), start - line, stop < end, shown)
