"""Log lines with context: one JSON object per line, or readable text with DEBUG.

Inside `log_context(operation=7, host="h1")` every line carries these fields, whatever module logs it. So one
`grep '"operation": 7'` over the logs of all processes shows one operation.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_context: ContextVar[dict[str, object]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated, only replaced


@contextmanager
def log_context(**named: object) -> Iterator[None]:
    """Add fields to every line logged inside: deployment, operation, host, request. None and "" are omitted."""
    token = _context.set(
        {**_context.get(), **{name: value for name, value in named.items() if value not in (None, "")}}
    )
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    """{"time", "level", "logger", "text", …context, "error"}: always one line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
            **_context.get(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Readable: time, level, logger, text, and the context in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        context = " ".join(f"{name}={_printable(str(value))}" for name, value in _context.get().items())
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        message = _printable(record.getMessage())
        text = f"{at} {record.levelname:<7} {record.name}: {message}" + (f" [{context}]" if context else "")
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _printable(text: str) -> str:
    """Escape line breaks and terminal escapes, so that user input cannot forge a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
