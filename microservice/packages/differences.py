"""How two packages differ. Pure."""

from collections.abc import Mapping, Sequence

from access.problems import FieldError
from messages import Message

MAX_ENTRIES = 5  # of each kind, among the errors
_MAX_NAMES = 3  # of each kind, in the sentence
_POINTER = "/package"
_CHANGES = {
    "changed": ("package_changes.changed", "package_entry.more_changed"),
    "added": ("package_changes.added", "package_entry.more_added"),
    "missing": ("package_changes.missing", "package_entry.more_missing"),
}


def compare(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[int, list[Message], list[FieldError]]:
    """Return how many entries differ, a message for each kind of change, and an error for the first of each kind.

    `old`, `new`: as Contents.entries returns them.
    """
    names_of_kind = {
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        "added": sorted(new.keys() - old.keys()),
        "missing": sorted(old.keys() - new.keys()),
    }
    changes: list[Message] = []
    errors: list[FieldError] = []
    for kind, names in names_of_kind.items():
        if names:
            summary, more = _CHANGES[kind]
            shown = [_printable(name) for name in names[:_MAX_NAMES]]
            changes.append(Message(summary, {"count": len(names), "names": shown}))
            errors += _errors(names, old, new, more)
    return sum(map(len, names_of_kind.values())), changes, errors


def _errors(names: Sequence[str], old: Mapping[str, bytes], new: Mapping[str, bytes], more: str) -> list[FieldError]:
    errors = [FieldError(_POINTER, _entry(name, old.get(name), new.get(name))) for name in names[:MAX_ENTRIES]]
    if len(names) > MAX_ENTRIES:
        errors.append(FieldError(_POINTER, more, count=len(names) - MAX_ENTRIES))
    return errors


def _entry(name: str, old: bytes | None, new: bytes | None) -> Message:
    params = {"name": _printable(name)}
    if old is None:
        return Message("package_entry.added", params)
    if new is None:
        return Message("package_entry.missing", params)
    (old_kind, *was), (new_kind, *is_now) = old.split(b" ", 3), new.split(b" ", 3)
    if old_kind != new_kind:
        return Message("package_entry.kind", params | {"old": old_kind.decode(), "new": new_kind.decode()})
    if old_kind == b"link":
        return Message("package_entry.target", params)
    if old_kind == b"file" and was[1] != is_now[1]:
        return Message("package_entry.size", params | {"old": was[1].decode(), "new": is_now[1].decode()})
    if was[0] != is_now[0]:
        return Message("package_entry.mode", params | {"old": was[0].decode(), "new": is_now[0].decode()})
    return Message("package_entry.content", params)


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[-120:])
