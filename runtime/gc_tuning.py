"""Garbage collector settings: no collection while modules load, and memory returned after the start."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND_THRESHOLD = 300_000  # new objects before a collection: about 50 MB


@contextmanager
def short_lived_process() -> Iterator[None]:
    """Collect garbage rarely in a command that loads much and soon ends: collections took a third of its time.

    There is no collection at the end either. Files are closed and atexit handlers run as always.
    """
    gc.set_threshold(COMMAND_THRESHOLD, 10, 10)
    try:
        yield
    finally:
        gc.freeze()


def freeze_loaded_objects() -> None:
    """Exclude all loaded objects from further collections, and return free memory to the system.

    A Python process keeps the memory that loading modules took. Only glibc can return it; on others nothing happens.
    """
    import ctypes

    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
