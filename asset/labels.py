"""Which hosts a choice by labels means: those that have all of them. The only place of the rule.

A selector is {name: value}, with None for any value: {"zone": "eu", "canary": None}. As text, in addresses and fields,
it is `zone=eu canary`, with quotes around what contains a space.
"""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from access.problems import invalid
from messages.invalid import InvalidValue

from . import validation
from .models import Asset, HostGroup

Selector = Mapping[str, str | None]
MAX_CONDITIONS = 10


def check(value: Any, pointer: str = "/labels") -> Selector:
    """Return a selector from JSON. Raise Problem 422 for anything else, and for one that would mean every host."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_CONDITIONS:
        raise invalid(pointer, "label_selector", max=MAX_CONDITIONS)
    try:
        given = validation.labels({name: "" if wanted is None else wanted for name, wanted in value.items()})
    except InvalidValue as error:
        raise invalid(pointer, error.reason) from error
    return {name: None if value[name] is None else wanted for name, wanted in given.items()}


def parse(text: str, pointer: str = "/labels") -> Selector:
    """Return a selector from its text; {} for an empty one, which means that labels do not matter."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise invalid(pointer, "label_quotes") from None
    pairs = [word.partition("=") for word in words]
    if len(pairs) > MAX_CONDITIONS:
        raise invalid(pointer, "too_many_labels", max=MAX_CONDITIONS)
    repeated = next((name for name, times in Counter(name for name, _, _ in pairs).items() if times > 1), None)
    if repeated is not None:
        raise invalid(pointer, "label_repeated", label=repeated)
    return check({name: value if sign else None for name, sign, value in pairs}, pointer) if pairs else {}


def as_text(selector: Selector) -> str:
    return shlex.join(name if value is None else f"{name}={value}" for name, value in selector.items())


def fits(labels: Mapping[str, str], selector: Selector) -> bool:
    """Return whether a host with these labels is meant. Pure."""
    return all(name in labels and value in (None, labels[name]) for name, value in selector.items())


def counts(selectors: Iterable[Selector], hosts: Iterable[Mapping[str, str]]) -> list[int]:
    """Return how many of these hosts (their labels) each selector means: as `fits`, for many selectors. Pure."""
    having: dict[tuple[str, str | None], set[int]] = defaultdict(set)
    for number, own in enumerate(hosts):
        for name, value in own.items():
            having[name, value].add(number)
            having[name, None].add(number)
    return [len(set.intersection(*(having.get(one, set()) for one in selector.items()))) for selector in selectors]


def find(selector: Selector, rows: QuerySet[Asset]) -> list[int]:
    """Return the ids of those of these hosts that a selector means. One query: the database looks for the names, which
    it does alike everywhere, and the values are compared here."""
    texts = with_names(selector, rows).values_list("pk", Cast("labels", TextField())).distinct()

    @cache  # many hosts have the same labels
    def is_meant(text: str) -> bool:
        return fits(json.loads(text), selector)

    return [pk for pk, text in texts if is_meant(text)]


def with_names(selector: Selector, rows: QuerySet[Asset]) -> QuerySet[Asset]:
    """Return those of these hosts that have all labels of a selector, whatever their values are."""
    for name in selector:
        rows = rows.filter(labels__has_key=name)
    return rows


def narrow(rows: QuerySet[Asset], selectors: Iterable[Selector] | None) -> QuerySet[Asset]:
    """Return those of these hosts that all selectors mean; none of them for None. One query for each."""
    if selectors is None:
        return rows.none()
    for selector in selectors:
        rows = rows.filter(pk__in=find(selector, rows))
    return rows


def group(name: str, pointer: str = "/group") -> HostGroup:
    """Return a group by its name. Raise Problem 422 where there is none."""
    row = HostGroup.objects.filter(name=name).first() if name and "\0" not in name else None
    if row is None:
        raise invalid(pointer, "no_such_group", group=name)
    return row


def query(label: str, group_name: str) -> list[Selector]:
    """Return the selectors of an address with `?label=` and `?group=`; all of them hold. Raise Problem 422."""
    found = [parse(label, "/query/label")] if label.strip() else []
    return [*found, group(group_name, "/query/group").labels] if group_name else found


def known(rows: QuerySet[Asset], limit: int = 500) -> list[str]:
    """Return the labels that these hosts have, as text, the most frequent first: to choose from. One query."""
    counted: dict[str, int] = {}
    for labels in rows.values_list("labels", flat=True):
        for pair in labels.items():
            text = as_text(dict([pair]))
            counted[text] = counted.get(text, 0) + 1
    return sorted(counted, key=lambda text: (-counted[text], text))[:limit]
