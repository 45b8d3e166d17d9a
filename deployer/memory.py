"""A process that has started gives back what only its start needed."""
import ctypes
import gc


def settle() -> None:
    """What is loaded now stays until the end: it is not looked through for garbage again, and free memory is returned.

    A Python process keeps the room that loading modules took; only glibc can be asked for it, others are left alone.
    """
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
