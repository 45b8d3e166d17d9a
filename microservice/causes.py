"""What made an operation fail, as a short name that hosts which failed alike have in common. Pure.

Hosts say the same thing in words that differ: their own names and addresses, times, process ids, names of temporary
files. All of that is taken out before the rest is hashed. The name is kept with the operation, so that a deployment's
causes are counted, filtered and retried by the database.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from messages import Message

LENGTH = 16  # characters of a name
LONGEST = 4000  # characters of one text that are looked at
# Parameters that say where it happened, not what.
_WHERE = frozenset({"where", "host", "username", "pinned", "offered", "fence", "operation", "given_up_after"})
_NAME = r"[0-9A-Za-z_.-]"

_DIFFERS = re.compile(
    r"(?:\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? )?"
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6} {1,2}\d{1,2}\b"  # Fri Nov 27
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?<![\w:])\[?(?=[a-f:]{0,39}\d)(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}\]?(?![\w:])"  # IPv6, and 12:30:59
    r"|\b0x[0-9a-f]+\b"
    r"|\b(?=[0-9a-f]{0,63}\d)[0-9a-f]{7,128}\b"  # ids of commits, containers and images
    r"|(?<=/tmp/)[\w.-]+"
    r"|\d+(?:[.,:]\d+)*",
    re.IGNORECASE,
)


def cause_of(message: Message | None, code: str, step: str, names: Iterable[str] = ()) -> str:
    """Return the name of the cause; "" where nothing went wrong. `names`: of the host, which are taken out."""
    if message is None:
        return ""
    own = sorted({name for name in names if len(name) > 2}, key=len, reverse=True)
    pattern = re.compile("|".join(f"(?<!{_NAME}){re.escape(name)}(?!{_NAME})" for name in own)) if own else None
    text = json.dumps([code, step, _alike(message.params, pattern)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:LENGTH]


def _alike(value: Any, own: re.Pattern[str] | None) -> Any:
    if isinstance(value, Message):
        return [value.code, _alike(value.params, own)]
    if isinstance(value, Mapping):
        return {name: _alike(one, own) for name, one in value.items() if name not in _WHERE}
    if isinstance(value, list | tuple):
        return [_alike(one, own) for one in value]
    if isinstance(value, str):
        return alike(value, own)
    return value if value is None or isinstance(value, bool) else "#"


def alike(text: str, own: re.Pattern[str] | None = None) -> str:
    """Return the text without what differs from host to host."""
    text = text[:LONGEST]
    if own is not None:
        text = own.sub("#", text)
    return " ".join(_DIFFERS.sub("#", text).split())
