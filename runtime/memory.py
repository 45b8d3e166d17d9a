"""How processes start and end: no search for garbage where there is none, and what only the start needed given back."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARE = 300_000  # new objects before a command looks for garbage: about 50 MB


@contextmanager
def command() -> Iterator[None]:
    """Around a command that loads much and soon ends: looking through what it loaded took a third of its time.

    The end goes without a last look, too. Files are closed, and what is registered with atexit runs, as always.
    """
    gc.set_threshold(RARE, 10, 10)
    try:
        yield
    finally:
        gc.freeze()


def settle() -> None:
    """What is loaded now stays until the end: it is not looked through for garbage again, and free memory is returned.

    A Python process keeps the room that loading modules took; only glibc can be asked for it, others are left alone.
    """
    import ctypes

    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
