"""Check a settings document. Secrets that a request leaves out are taken from the current revision."""

from typing import Any
from urllib.parse import urlsplit

from access.problems import FieldError, invalid_fields

from . import allowed_receivers, http_client, projects, registry, web_addresses
from .docker import settings as engine_settings
from .images import settings as image_settings
from .registry import Document, Fields

MAX_TEXT = 64 * 1024  # characters
MAX_QUOTED = 100  # characters of a wrong entry that its error repeats


def complete_document(given: dict[str, Fields | None]) -> Document:
    """Return the document that a request means, with the secrets that it leaves out (or gives as None).

    An integration that is missing or None is not configured. Raise one 422 Problem with everything that is wrong.
    """
    saved = registry.document_of(registry.newest())
    document: Document = {}
    errors: list[FieldError] = []
    for name, fields in given.items():
        if fields is not None:
            if name == "docker":
                fields = engine_settings.opened(fields, errors)
            document[name] = _with_saved_secrets(name, fields, saved.get(name, {}), errors)
            errors += _errors(name, {**registry.PARTS[name], **document[name]})
    if errors:
        raise invalid_fields(errors)
    return document


def _with_saved_secrets(name: str, fields: Fields, saved: Fields, errors: list[FieldError]) -> Fields:
    plain = {key: value for key, value in registry.PARTS[name].items() if key not in registry.SECRETS}
    complete = {**plain, **{key: value for key, value in fields.items() if value is not None}}
    for key in set(registry.PARTS[name]) & registry.SECRETS - set(complete):
        if saved.get(key):
            # Otherwise a new address could be sent the old one's token.
            if key not in registry.NEVER_SENT and _reaches_others(name, complete, saved):
                errors.append(FieldError(f"/{name}/{key}", "secret_other_address"))
            complete[key] = saved[key]
    return complete


def _reaches_others(name: str, fields: Fields, saved: Fields) -> bool:
    """Return whether the secrets of an integration would be sent to a server that did not get them before."""
    if _server(name, fields) != _server(name, saved):
        return True
    return name == "registry" and image_settings.has_new_names(fields, saved)


def _server(name: str, fields: Fields) -> tuple[Any, ...]:
    """Return where the secrets of an integration are sent."""
    if name == "package_store":
        return fields.get("kind"), fields.get("endpoint", ""), fields.get("bucket", "")
    address = urlsplit(fields.get("url", ""))
    return address.scheme, address.netloc


def _errors(name: str, fields: Fields) -> list[FieldError]:
    errors = [
        FieldError(f"/{name}/{key}", "too_long", max=MAX_TEXT)
        for key, value in fields.items()
        if isinstance(value, str) and len(value) > MAX_TEXT
    ]
    if name == "proxies":
        return errors + _proxy_errors(fields)
    if name == "package_store":
        errors += _store_errors(fields)
    elif name == "callbacks":
        errors += _receiver_errors(fields["allowed"])
    elif name == "docker":
        errors += engine_settings.errors_of(fields)
    else:
        errors += _address_errors(f"/{name}/url", fields["url"])
    if name == "registry":
        errors += image_settings.errors(fields)
    if "projects" in fields and (message := projects.binding_error(fields["projects"])):
        errors.append(FieldError(f"/{name}/projects", message))
    if fields["client_cert"] and not fields["client_key"] and "PRIVATE KEY" not in fields["client_cert"]:
        return [*errors, FieldError(f"/{name}/client_key", "client_key_missing")]
    try:
        http_client.tls(fields)
    except http_client.BadCertificates as error:
        errors.append(FieldError(f"/{name}/ca", error.message))
    return errors


def _proxy_errors(fields: Fields) -> list[FieldError]:
    errors = []
    for key in ("http", "https"):
        if fields[key]:
            errors += _address_errors(f"/proxies/{key}", fields[key])
    if any(not host.isprintable() or " " in host or not host for host in fields["no_proxy"]):
        errors.append(FieldError("/proxies/no_proxy", "host_names"))
    return errors


def _receiver_errors(entries: list[str]) -> list[FieldError]:
    if len(entries) > allowed_receivers.MAX_ENTRIES:
        return [FieldError("/callbacks/allowed", "receivers_max", max=allowed_receivers.MAX_ENTRIES)]
    try:
        allowed_receivers.parse(entries)
    except allowed_receivers.BadEntry as error:
        return [FieldError("/callbacks/allowed", "receiver_entry", entry=str(error)[:MAX_QUOTED])]
    return []


def _store_errors(fields: Fields) -> list[FieldError]:
    if fields["kind"] == "local":
        absolute = fields["folder"].startswith("/") and "\0" not in fields["folder"]
        return [] if absolute else [FieldError("/package_store/folder", "folder_absolute")]
    if fields["kind"] != "s3":
        return [FieldError("/package_store/kind", "one_of", allowed=["local", "s3"])]
    errors = [
        FieldError(f"/package_store/{key}", "required")
        for key in ("bucket", "access_key", "secret_key")
        if not fields[key]
    ]
    if fields["endpoint"]:
        errors += _address_errors("/package_store/endpoint", fields["endpoint"])
    return errors


def _address_errors(pointer: str, url: str) -> list[FieldError]:
    code = _address_error(url)
    return [FieldError(pointer, code)] if code else []


def _address_error(url: str) -> str:
    """Return the code of what is wrong with a server's address; "" where nothing is."""
    if code := web_addresses.error(url):
        return code
    parts = urlsplit(url)
    if parts.query or parts.fragment or not url.isascii() or any(char.isspace() for char in url):
        return "address_plain"
    return ""
