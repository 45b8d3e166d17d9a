"""What the settings of an engine may be, and the certificates that come as one archive."""

import re
from typing import Any

from access.problems import FieldError

from . import certificate_archive
from .target import address_error

_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_TLS = ("tls", "ca", "client_cert")


def opened(fields: dict[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    """Return the fields with what `archive` holds in place of itself. Add to the errors where it cannot be used."""
    if not (archive := fields.get("archive")):
        return {name: value for name, value in fields.items() if name != "archive"}
    given = {name: value for name, value in fields.items() if name != "archive"}
    try:
        return {**given, **certificate_archive.unpacked(archive)}
    except certificate_archive.BadArchive as error:
        errors.append(FieldError("/docker/archive", error.message))
        return given


def errors_of(fields: dict[str, Any]) -> list[FieldError]:
    """Return what is wrong with the fields that only an engine has."""
    found = []
    if code := address_error(fields["url"]):
        found.append(FieldError("/docker/url", code))
    elif fields["url"].startswith("unix://") and any(fields[name] for name in _TLS):
        found.append(FieldError("/docker/url", "engine_socket_tls"))
    network = fields["network"]
    if network == "host" or network.startswith("container:"):
        # What a recipe runs would share the network of the engine's machine, or of a container there.
        found.append(FieldError("/docker/network", "engine_network_shared"))
    elif network and not _NETWORK.match(network):
        found.append(FieldError("/docker/network", "engine_network"))
    return found
