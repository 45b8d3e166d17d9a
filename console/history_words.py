"""Says the rows of the history in words: what was done, and each change as a sentence. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from audit.models import History
from messages.rendering import term
from microservice.status import BuildStatus

from . import browsers
from .history_fields import DEEDS, FLAGS, LABELS

MAX_LENGTH = 120  # characters of a value
# Values that are words of the API, not a person's own.
WORDS = frozenset(
    {
        "status",
        "status_str",
        "role",
        "kind",
        "colour",
        "language",
        "build_orig",
        "encoding",
        "scopes",
        "action",
        "waits_for",
    }
)
# What was done to a value that the history does not keep.
KEPT_SECRET = frozenset({"changed", "set", "removed"})
UNKEPT = frozenset({"password", "secret", "passphrase", "headers", "build_password", "build_key"})
# What a row says besides what changed: never "set to".
FACTS = frozenset(
    [
        "agent",
        "changed",
        "count",
        "delete_attempts",
        "delivery",
        "failed",
        "hostnames",
        "instances",
        "older_than_days",
        "operation_id",
        "parts",
        "refused",
        "request_id",
        "round",
        "rows",
        "sessions",
        "since",
        "unreachable_hosts",
        "user_id",
        "waits_for",
    ]
)
Names = Mapping[tuple[str, int], str]  # {(field, id): name} of the rows that fields name by their ids


def deed(row: History) -> str:
    """Return what was done, as in "put into maintenance", "upgraded"."""
    if row.action == "change" and (flag := _only_flag(row)):
        return flag[:1].lower() + flag[1:]
    known = DEEDS.get(f"{row.action} {row.subject}") or DEEDS.get(row.action)
    return term(row.action) if known is None else str(known)


def sentences(row: History, names: Names) -> list[str]:
    """Return each change as a sentence. `names`: of the rows that are named by their ids."""
    if row.action == "change" and _only_flag(row):
        return []  # the deed says it
    before, after = row.before or {}, row.after or {}
    if after.get("member") or before.get("member"):
        return [_member(before, after)]
    fields = dict.fromkeys([*after, *before])
    found: list[str] = []
    for name in fields:
        old, new = (_value(row, name, values.get(name), names) for values in (before, after))
        found += _said(row, name, old, new, whole=row.before is None or row.after is None)
    return found


def _only_flag(row: History) -> str:
    """Return the sentence of a row that changes one field, which is yes or no; else ""."""
    after = {name: value for name, value in (row.after or {}).items() if (row.before or {}).get(name) != value}
    return _flag(row.subject, *next(iter(after.items()))) if len(after) == 1 else ""


def _flag(subject: str, name: str, value: Any) -> str:
    said = FLAGS.get(f"{name} {subject}") or FLAGS.get(name)
    return str(said[0] if value else said[1]) if said and isinstance(value, bool) else ""


def _said(row: History, name: str, old: Any, new: Any, whole: bool) -> Iterator[str]:
    """Yield the sentences of one field. `whole`: the row was created or deleted, so nothing that is empty is said."""
    hidden = isinstance(new, dict) and None in new.values()
    if (old == new and not hidden) or (whole and not old and not new):
        return
    if flag := _flag(row.subject, name, old if new is None else new):
        yield flag
    elif (whole or name in FACTS) and not isinstance(old or new, dict) and not _is_unkept(new):
        shown = _steps(old or new) if name == "steps" else _shown(old if new is None else new)
        yield _("%(field)s: %(value)s") % {"field": _label(name), "value": shown}
    elif name in UNKEPT and _is_unkept(new):
        yield _unkept(_label(name), new)
    elif name == "steps" and isinstance(old or new, list):
        yield _changed(_label(name), _steps(old), _steps(new))
    elif isinstance(old or new, dict):
        yield from _keys(name, old or {}, new or {})
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(_label(name), old, new)
    else:
        yield _changed(_label(name), _shown(old), _shown(new))


def _is_unkept(value: Any) -> bool:
    return isinstance(value, str) and value in KEPT_SECRET


def _label(name: str, key: str = "") -> str:
    known = LABELS.get(name)
    label = capfirst(term(name)) if known is None else str(known)
    return f"{label} {key}" if key else label


def _changed(field: str, old: str, new: str) -> str:
    values = {"field": field, "old": old, "new": new}
    if not new:
        return _("%(field)s removed, was %(old)s") % values
    if not old:
        return _("%(field)s set to %(new)s") % values
    if old == new:
        return _("%(field)s changed") % values
    return _("%(field)s changed from %(old)s to %(new)s") % values


def _unkept(field: str, word: str) -> str:
    if word == "removed":
        return _("%(field)s removed") % {"field": field}
    return (_("%(field)s set") if word == "set" else _("%(field)s changed")) % {"field": field}


def _keys(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield what changed of a map of names, such as the environment. A value that is None is hidden from the reader."""
    for key in dict.fromkeys([*new, *old]):
        if key in old and key in new and old[key] == new[key]:
            if old[key] is None:
                yield _("%(field)s, hidden from you") % {"field": _label(name, key)}
            continue
        value = new.get(key, old.get(key))
        if name in ("secrets", "build_secrets") and _is_unkept(value):
            yield _unkept(_label(name, key), value)
        elif value is None:
            yield _unkept(_label(name, key), "removed" if key not in new else "set")
        else:
            yield _changed(_label(name, key), _shown(old.get(key)), _shown(new.get(key)))


def _items(field: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    added = [_text(item) for item in new if item not in old]
    removed = [_text(item) for item in old if item not in new]
    if added:
        yield _("%(field)s added: %(items)s") % {"field": field, "items": _short(", ".join(added))}
    if removed:
        yield _("%(field)s removed: %(items)s") % {"field": field, "items": _short(", ".join(removed))}
    if not added and not removed:
        yield _("%(field)s put into another order") % {"field": field}


def _member(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if not after.get("member"):
        return _("%(name)s is no longer a member") % {"name": _text(before.get("member"))}
    return _("%(name)s is a member with the role %(role)s") % {
        "name": _text(after["member"]),
        "role": term(after.get("role")),
    }


def _value(row: History, name: str, value: Any, names: Names) -> Any:
    """Return a value with names for ids and words for codes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if name == "status" and row.subject == "version" and value in BuildStatus.values:
            return Word(term(BuildStatus(value).label))
        return Word(names[name, value]) if (name, value) in names else value
    if isinstance(value, list):
        return [_value(row, name, item, names) for item in value]
    if name == "agent" and isinstance(value, str):
        return Word(browsers.name_of(value))
    return Word(term(value)) if name in WORDS and isinstance(value, str) and value else value


class Word(str):
    """A word or a name of ours: shown without quotation marks."""

    __slots__ = ()


def _shown(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Word):
        return f"“{_short(value)}”" if value else ""
    return _short(_text(value))


def _steps(steps: Any) -> str:
    return _short(", ".join(str(step.get("name", "")) for step in steps or () if isinstance(step, dict)))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        if set(value) == {"user", "role"}:
            return f"{value['user']} ({term(value['role'])})"
        return ", ".join(f"{name}={_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "" if value is None else str(value)


def _short(text: str) -> str:
    return Truncator(" ".join(text.split())).chars(MAX_LENGTH)
