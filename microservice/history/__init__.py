"""Who did what to what: rows that are only ever added, and the chain that shows it."""

from .rows import record

__all__ = ["record"]
