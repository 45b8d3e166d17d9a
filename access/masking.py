"""Mask the values of secrets in the output of commands, before it is stored anywhere.

A value is replaced by as many `*` as it has bytes: output is addressed by byte offsets that are the host's own, so
nothing may get longer or shorter (line ends stay too, for lines are counted). The search is for pieces of at most
MAX_PIECE bytes: of each line of a value, of its base64 at each of the three alignments and as `base64` wraps it, and of
its form in a URL or in JSON. It is one `bytes.find` after the other: linear in the text, whatever is in it.

This protects against accidents, such as `set -x` or an error that quotes its input. A command that means to reveal a
secret can always encode it in a form that is not searched for.
"""

import base64
import json
import re
import urllib.parse
from bisect import bisect_left
from collections.abc import Iterable

MIN_SECRET = 6  # bytes: shorter values would be found in ordinary words, so they are neither masked nor accepted
MAX_PIECE = 76  # bytes: what `base64` puts on a line, and the most that a stream holds back
_STARS = bytes(byte if byte in b"\r\n" else 0x2A for byte in range(256))
_FRAME = re.compile(rb"-----[A-Z0-9 ]{1,60}-----\Z")  # the first and last line of a PEM block are not secret


class Mask:
    """The pieces to search for. Pure, and shared by any number of streams. False where there are none."""

    def __init__(self, values: Iterable[str]):
        """Prepare for `values`: the texts themselves, revealed."""
        pieces = {piece for value in values for piece in _pieces(value.encode("utf-8", "replace"))}
        self._pieces = sorted(pieces)
        self._backward = sorted(piece[::-1] for piece in pieces)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def __repr__(self) -> str:
        return f"Mask({len(self._pieces)} pieces)"

    def text(self, text: str) -> str:
        """Return a short text, such as an error, with every value masked, also one that is cut off at either end."""
        if not self._pieces or not text:
            return text
        raw = text.encode("utf-8", "replace")
        places = self.find(raw)
        if (begun := self.begun(raw)) >= MIN_SECRET:
            places.append((len(raw) - begun, len(raw)))
        if (rest := _beginning(self._backward, raw[:MAX_PIECE][::-1])) >= MIN_SECRET:
            places.append((0, rest))
        return _starred(raw, places).decode("utf-8", "replace") if places else text

    def find(self, raw: bytes) -> list[tuple[int, int]]:
        """Return where each piece is: (start, end), unordered, overlaps included."""
        places = []
        for piece in self._pieces:
            at = raw.find(piece)
            while at >= 0:
                places.append((at, at + len(piece)))
                at = raw.find(piece, at + 1)
        return places

    def begun(self, raw: bytes) -> int:
        """Return how many bytes at the end could begin a piece; a complete piece does not count."""
        return _beginning(self._pieces, raw[-MAX_PIECE:])


class Stream:
    """Mask bytes that arrive in parts: what could begin a value is held back until more arrives.

    `feed` and `flush` together return as many bytes as were fed, in order.
    """

    def __init__(self, mask: Mask):
        self._mask = mask
        self._seen = b""  # the last bytes, as they arrived: returned already, but for the last `held`
        self.held = 0

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on now."""
        if not self._mask:
            return data
        raw = self._seen + data
        returned = len(self._seen) - self.held
        places = self._mask.find(raw)
        end = len(raw) - self._mask.begun(raw)
        # What a value covers is masked whatever follows, so it need not wait.
        end = max([returned, end, *(stop for start, stop in places if start < end)])
        out = _starred(raw, places)[returned:end]
        self._seen, self.held = raw[-MAX_PIECE - (len(raw) - end) :], len(raw) - end
        return out

    def flush(self) -> bytes:
        """Return the rest at the end of the stream. The greater part of a value that was cut off is masked as well."""
        rest, self.held = self._seen[len(self._seen) - self.held :], 0
        return _starred(rest, [(0, len(rest))]) if len(rest) >= MIN_SECRET else rest


def _beginning(pieces: list[bytes], raw: bytes) -> int:
    """Return how many of the last bytes of `raw` begin one of these (sorted) pieces without completing it."""
    for at in range(len(raw)):
        tail = raw[at:]
        place = bisect_left(pieces, tail)
        for piece in pieces[place : place + 2]:  # at most one of them is the tail itself
            if len(piece) > len(tail) and piece.startswith(tail):
                return len(tail)
    return 0


def _starred(raw: bytes, places: list[tuple[int, int]]) -> bytes:
    if not places:
        return raw
    masked, end_of_last = bytearray(raw), 0
    for start, end in sorted(places):
        if end > end_of_last:
            start = max(start, end_of_last)
            masked[start:end] = raw[start:end].translate(_STARS)
            end_of_last = end
    return bytes(masked)


def _pieces(value: bytes) -> set[bytes]:
    lines = [line.strip() for line in value.split(b"\n")]
    long_lines = [line for line in lines if len(line) >= MIN_SECRET and not _FRAME.match(line)]
    forms = long_lines or [value.strip()]
    for line in long_lines[:]:
        forms += [urllib.parse.quote(line, safe="").encode(), json.dumps(line.decode())[1:-1].encode()]
    for coded in {value, value.rstrip(b"\n"), value.rstrip(b"\n") + b"\n"}:
        forms += _coded(coded)
    return {piece for form in forms for piece in _cut(form)}


def _coded(value: bytes) -> list[bytes]:
    """Return its base64 at every offset in a longer text: only the characters that its neighbours do not change."""
    forms = []
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + value)
        sure = coded[-(-8 * shift // 6) : 8 * (shift + len(value)) // 6]
        forms += [sure, sure.translate(bytes.maketrans(b"+/", b"-_"))]
    return forms


def _cut(form: bytes) -> list[bytes]:
    """Split into pieces that cover it; the last one begins early, so that none is too short to search for."""
    if len(form) <= MAX_PIECE:
        return [form] if len(form) >= MIN_SECRET else []
    whole = [form[at : at + MAX_PIECE] for at in range(0, len(form) - MAX_PIECE + 1, MAX_PIECE)]
    rest = len(form) % MAX_PIECE
    if not rest:
        return whole
    return [*whole, form[-rest:] if rest >= 2 * MIN_SECRET else form[-rest - MIN_SECRET :]]
