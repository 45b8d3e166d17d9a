"""Reads and searches an operation's output by bytes.

Output is rows of bytes, each with its offset in the whole. A reader never holds more than a few of them: a log of
gigabytes passes through in pieces, and between two pieces no database connection is held.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db.models import BigIntegerField, F
from django.db.models.functions import Length

from runtime.db_connections import release_connection

from ..models import Output
from . import frames

ROWS_PER_QUERY = 8
LINE_PIECE = 64 * 1024  # bytes in which a longer line is searched
MAX_LINE_BYTES = 2000  # of a line in a result, the first occurrence included
MAX_LINES = 1000  # in one result


def size(operation_id: int) -> int:
    """Return the number of bytes so far."""
    last = (
        Output.objects.filter(operation_id=operation_id)
        .order_by("-start")
        .annotate(end=F("start") + Length("data", output_field=BigIntegerField()))
        .values_list("end", flat=True)
        .first()
    )
    return last or 0


def read(operation_id: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from `start` up to (not including) `end` in pieces, exactly `end - start` of them.

    Bytes that were never received are replaced by spaces, so that every offset stays valid.
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
    """Return the next few rows with bytes of at … end, oldest first."""
    output = Output.objects.filter(operation_id=operation_id)
    first = output.filter(start__lte=at).order_by("-start").values_list("start", flat=True).first()
    rows = output.filter(start__gte=at if first is None else first, start__lt=end)
    next_rows = rows.order_by("start").values_list("start", "data")[:ROWS_PER_QUERY]
    return [(start, bytes(data)) for start, data in next_rows if start + len(data) > at]


@dataclass
class SearchResult:
    """The result of a search. `hits` counts every occurrence; `lines` has the first lines with one."""

    hits: int = 0
    lines: list[tuple[int, bytes]] = field(default_factory=list)  # (offset of the line, its bytes)
    next_offset: int | None = None  # where to continue: at the first line beyond the limit, or where time was over
    cut: bool = False  # time was over before the end
    ends: list[int] = field(default_factory=list)  # for each of `lines`: how many lines ended before it in the search
    # For each of `lines`: the offset of the occurrence, how many bytes of the line are left out before its bytes,
    # whether bytes are left out after them, and whether a page shows the occurrence without a request for more.
    places: list[tuple[int, int, bool, bool]] = field(default_factory=list)


class SearchTerm:
    """A text to search for, literally and in either case. `longest`: bytes of one occurrence at most.

    `encoding`: of output that is not UTF-8, see encodings.py.
    """

    _encoding = ""

    def __init__(self, text: str, encoding: str = "") -> None:
        self._encoding = "" if encoding in ("", "utf-8") else encoding
        codecs = ("utf-8", self._encoding) if self._encoding and not text.isascii() else ("utf-8",)
        longest = (sum(max(map(len, _forms(character, codec))) for character in text) for codec in codecs)
        self.longest = max(len(text.encode()), *longest)
        # Lower-case bytes are found without a pattern's alternatives, which is ten times as fast. Beyond ASCII only a
        # pattern has both cases of a character.
        self._one_case = text.isascii()
        self._pattern = re.compile(re.escape(text.lower().encode())) if self._one_case else pattern_of(text, *codecs)

    def finditer(self, data: bytes) -> Iterator[re.Match[bytes]]:
        matches = self._pattern.finditer(data.lower() if self._one_case else data)
        if not self._encoding:
            return matches
        return (match for match in matches if self._is_character_start(data, match.start()))

    def _is_character_start(self, data: bytes, at: int) -> bool:
        """Return whether a character begins at `at`: the second byte of one may look like a letter."""
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
    text: str | SearchTerm,
    start: int,
    end: int,
    limit: int = MAX_LINES,
    enough: Callable[[], bool] = lambda: False,
) -> SearchResult:
    """Find every occurrence of `text` between two offsets. `enough` is called between pieces and ends the search."""
    term = SearchTerm(text) if isinstance(text, str) else text
    result = SearchResult()
    ended = 0
    for offset, part in _parts(read(operation_id, start, end), start, term):
        _collect(result, term, offset, part, limit, ended)
        ended += part.count(b"\n")
        if enough() and (part_end := offset + len(part)) < end:
            result.cut = True
            if result.next_offset is None:
                result.next_offset = part_end if part.endswith(b"\n") else max(offset + 1, part_end - term.longest + 1)
            break
    return result


def pattern_of(text: str, *codecs: str) -> re.Pattern[bytes]:
    """Return a pattern for the bytes of `text` in these encodings (UTF-8 without any), in either case, literally."""
    alternatives = (
        b"".join(b"(?:" + b"|".join(map(re.escape, _forms(character, codec))) + b")" for character in text)
        for codec in codecs or ("utf-8",)
    )
    return re.compile(b"|".join(alternatives))


def _forms(character: str, codec: str = "utf-8") -> list[bytes]:
    """Return the bytes of both cases; in UTF-8 where the encoding does not have the character."""
    forms = set()
    for form in (character, character.lower(), character.upper()):
        try:
            forms.add(form.encode(codec))
        except UnicodeEncodeError:
            forms.add(form.encode("utf-8", "replace"))
    return sorted(forms)


def _parts(pieces: Iterator[bytes], start: int, term: SearchTerm) -> Iterator[tuple[int, bytes]]:
    """Cut a stream into parts, each with its offset, so that every occurrence is complete in exactly one part.

    Parts end after a line. A line longer than LINE_PIECE is cut inside, and bytes that may begin an occurrence (fewer
    than its `longest` bytes) are repeated in the next part.
    """
    pending, offset = b"", start
    for piece in pieces:
        pending += piece
        cut = pending.rfind(b"\n") + 1
        if cut:
            yield offset, pending[:cut]
            pending, offset = pending[cut:], offset + cut
        if len(pending) > LINE_PIECE:
            last = max((match.end() for match in term.finditer(pending)), default=0)
            cut = max(last, len(pending) - term.longest + 1)
            yield offset, pending
            pending, offset = pending[cut:], offset + cut
    if pending:
        yield offset, pending


def _collect(result: SearchResult, term: SearchTerm, offset: int, part: bytes, limit: int, ended: int) -> None:
    end = line = -1  # of the latest line with an occurrence: others in it cost one comparison
    frame = -1  # where the last frame of that line begins, while occurrences were in earlier frames only
    counted = 0  # up to where `ended` counts the lines of the part
    for match in term.finditer(part):
        result.hits += 1
        if match.start() < end:
            if 0 <= frame < match.start():
                _set_line(result, part, offset, match, line, end)  # the first of the line that a page shows
                frame = -1
            continue
        line = part.rfind(b"\n", max(0, end), match.start()) + 1
        end = part.find(b"\n", match.end())
        end = len(part) if end < 0 else end
        if len(result.lines) < limit:
            ended, counted = ended + part.count(b"\n", counted, line), line
            result.lines.append((offset + line, b""))
            result.places.append((0, 0, False, False))
            _set_line(result, part, offset, match, line, end)
            result.ends.append(ended)
            frame = -1 if result.places[-1][3] else part.rfind(b"\r", line, max(line, end - 1))
        else:
            frame = -1
            if result.next_offset is None:
                result.next_offset = offset + line


def _set_line(result: SearchResult, part: bytes, offset: int, match: re.Match[bytes], line: int, end: int) -> None:
    """Set the latest line of the result: all of a short one, of a long one the bytes around the occurrence."""
    start, stop = line, end
    if end - line > MAX_LINE_BYTES:
        start = max(line, match.start() - MAX_LINE_BYTES // 4)
        stop = min(end, max(match.end(), start + MAX_LINE_BYTES))
    whole = part[line:end] if end - line <= LINE_PIECE else b""
    shown = bool(whole) and frames.is_shown(whole, match.start() - line, match.end() - match.start())
    result.lines[-1] = (result.lines[-1][0], part[start:stop])
    result.places[-1] = (offset + match.start(), start - line, stop < end, shown)
