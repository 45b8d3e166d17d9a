"""What the processes log: one JSON object a line, or readable text in DEBUG, each with what it is about.

`about(operation=7, host="h1")` names what a thread is busy with; every line logged inside, by whatever module, carries
it. So one `grep '"operation": 7'` over all processes' logs tells one operation's story.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_about: ContextVar[dict] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def about(**named: object) -> Iterator[None]:
    """Lines logged inside are about these: deployment, operation, host, request. What is None or "" is left out."""
    token = _about.set({**_about.get(), **{name: value for name, value in named.items() if value not in (None, "")}})
    try:
        yield
    finally:
        _about.reset(token)


class JsonLine(logging.Formatter):
    """{"time", "level", "logger", "text", …what it is about, "error"}. No text can make a second line of it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
            **_about.get(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class ReadableLine(logging.Formatter):
    """The same for people: time, level, text, and in brackets what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        what = " ".join(f"{name}={_printable(str(value))}" for name, value in _about.get().items())
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        said = _printable(record.getMessage())
        text = f"{at} {record.levelname:<7} {record.name}: {said}" + (f" [{what}]" if what else "")
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _printable(text: str) -> str:
    """Without line breaks and escapes of a terminal: what somebody typed makes no second line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
