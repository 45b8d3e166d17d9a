"""Versions to choose from, and what the form of a dialog sends."""

import re
from html import unescape
from typing import NamedTuple

from microservice.models import MicroServiceVersion


class Versions(NamedTuple):
    older: MicroServiceVersion
    running: MicroServiceVersion
    newer: MicroServiceVersion


def hidden(page: str) -> dict[str, list[str]]:
    """Return the fields of the form that confirms the plan."""
    form = page[page.index('class="confirm"') :]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(unescape(value))
    return found
