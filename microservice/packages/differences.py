"""What two packages differ in, for people. Pure."""

from collections.abc import Mapping

NAMED = 5  # of each kind
_SHORT = 3  # in the sentence


def between(there: Mapping[str, bytes], came: Mapping[str, bytes]) -> tuple[str, list[dict]]:
    """A sentence, and [{"pointer", "reason"}] with the first names of each kind. Both are Contents.entries."""
    kinds = {
        "changed": sorted(name for name in there.keys() & came.keys() if there[name] != came[name]),
        "added": sorted(came.keys() - there.keys()),
        "missing": sorted(there.keys() - came.keys()),
    }
    told, errors = [], []
    for kind, names in kinds.items():
        if not names:
            continue
        told.append(f"{kind} {_listed(names)}")
        for name in names[:NAMED]:
            why = f": {_change(there[name], came[name])}" if kind == "changed" else ""
            errors.append({"pointer": "/package", "reason": f"{kind}: {_printable(name)}{why}"})
        if len(names) > NAMED:
            errors.append({"pointer": "/package", "reason": f"{kind}: {len(names) - NAMED} more"})
    count = sum(map(len, kinds.values()))
    return f"{count} of its files, folders and links {'differs' if count == 1 else 'differ'}: {'; '.join(told)}", errors


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHORT} more" if len(names) > _SHORT else ""
    return ", ".join(map(_printable, names[:_SHORT])) + more


def _change(there: bytes, came: bytes) -> str:
    (old, *was), (new, *is_now) = there.split(b" ", 3), came.split(b" ", 3)
    if old != new:
        return f"was a {old.decode()}, is a {new.decode()}"
    if old == b"link":
        return "leads elsewhere"
    if old == b"file" and was[1] != is_now[1]:
        return f"was {was[1].decode()} bytes, is {is_now[1].decode()}"
    if was[0] != is_now[0]:
        return f"mode was {was[0].decode()}, is {is_now[0].decode()}"
    return "the same size, other bytes"


def _printable(name: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name[-120:])
