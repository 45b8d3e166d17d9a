"""Which part of a line is shown: its last frame. Pure.

Programs draw progress with a carriage return, which goes back to the beginning of the line. What is visible in the end
is what follows the last carriage return.
"""

from .terminal import LINE_LIMIT, has_text

MAX_BYTES = 64 * 1024  # at a line's end in which its last frame is searched


def last(line: bytes) -> tuple[int, int, int]:
    """Return (start, end) of the last visible frame, and the number of visible frames before it."""
    end = len(line.rstrip(b"\r"))
    if b"\r" not in line[:end]:
        return 0, end, 0
    at = end
    while True:
        start = line.rfind(b"\r", 0, at) + 1
        if has_text(line[start:at]) or not start:
            break
        at = start - 1
    earlier = sum(1 for frame in line[: max(0, start - 1)].split(b"\r") if has_text(frame))
    return start, at, earlier


def is_shown(line: bytes, at: int, size: int) -> bool:
    """Return whether a page shows `size` bytes at offset `at` of the line without a request for more."""
    start, end, _ = last(line)
    return start <= at and at + size <= min(end, start + LINE_LIMIT)
