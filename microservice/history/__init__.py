"""Who did what to what: rows that are only ever added, and the chain that shows it."""

from .rows import record, record_alike, record_rows, row_of

__all__ = ["record", "record_alike", "record_rows", "row_of"]
