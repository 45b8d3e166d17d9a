"""What the registry's own settings may be."""

from typing import Any
from urllib.parse import urlsplit

from access.problems import FieldError

from . import pages, reference

MAX_HOSTS = 50
_ANY = "registry.example.com/team/shop@sha256:0"


def errors(fields: dict[str, Any]) -> list[FieldError]:
    """Return what is wrong with the fields that only a registry has."""
    found = []
    hosts = fields["hosts"]
    if len(hosts) > MAX_HOSTS or not all(map(reference.is_host, hosts)):
        found.append(FieldError("/registry/hosts", "registry_hosts", max=MAX_HOSTS))
    if fields["project"] and not reference.is_name(fields["project"]):
        found.append(FieldError("/registry/project", "registry_project"))
    if ":" in fields["user"] or not fields["user"].isprintable():
        found.append(FieldError("/registry/user", "registry_user"))
    if fields["web_url"] and not _is_template(fields["web_url"]):
        found.append(FieldError("/registry/web_url", "registry_web_url"))
    return found


def has_new_names(fields: dict[str, Any], saved: dict[str, Any]) -> bool:
    """Return whether the password would go to a host by a name that the saved settings do not have."""
    return not set(_names(fields)) <= set(_names(saved))


def _names(fields: dict[str, Any]) -> list[str]:
    try:
        return reference.names_of(fields.get("url", ""), fields.get("hosts") or [])
    except ValueError:  # an address that is refused as such
        return []


def _is_template(text: str) -> bool:
    try:
        page = pages.page_of(_ANY, text)
        parts = urlsplit(page)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = page.isascii() and page.isprintable() and not set(page) & set(' {}"<>\\')
    return is_address and is_plain and parts.username is None and parts.password is None
