"""Who did what to what: rows that are only ever added, and the chain that shows it."""

from .rows import record, record_alike

__all__ = ["record", "record_alike"]
