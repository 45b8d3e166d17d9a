"""Which part of a line is shown: its last frame. Programs draw progress by going back to the line's beginning with a
carriage return and writing it anew, so what stands there in the end is what follows the last of them. Pure."""

from .terminal import LINE_LIMIT, has_text

FRAMES = 64 * 1024  # bytes at a line's end in which its last frame is looked for


def last(line: bytes) -> tuple[int, int, int]:
    """Where the last frame that shows anything begins and ends, and how many that showed something came before it."""
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
    """Whether `size` bytes at the place `at` are in what a page shows of the line without being asked for more."""
    start, end, _ = last(line)
    return start <= at and at + size <= min(end, start + LINE_LIMIT)
