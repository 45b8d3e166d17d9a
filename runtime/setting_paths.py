"""Settings that are URLs, addresses, folders or files. An invalid one raises InvalidSetting."""

import os
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from .environment import MAX_SOCKET_PATH, InvalidSetting, quoted, text, words

MAX_PATH_BYTES = 3000  # of a folder that contains others
_HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]{2,45}\]")


def host_names(name: str, default: str) -> list[str]:
    """Return a list of allowed host names: example.com, .example.com (with subdomains), an address, or *."""
    names = words(name, default)
    for word in names:
        if not _HOST_NAME.fullmatch(word):
            raise InvalidSetting(
                name,
                f"must contain host names such as deploy.example.com, without scheme, port or path, not {quoted(word)}",
            )
    return names


def public_url(name: str, default: str) -> str:
    """Return the public URL: http:// or https://, a host, and optionally a port. Without a trailing slash."""
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise InvalidSetting(name, "is not a valid URL") from None
    if parts.username is not None or parts.password is not None or "@" in value:
        raise InvalidSetting(name, "must not contain a user or a password")
    good = _HOST_NAME.fullmatch(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
    if parts.scheme not in ("http", "https") or not good or port == 0 or parts.path or parts.query or parts.fragment:
        raise InvalidSetting(name, f"must be a URL such as https://deploy.example.com, not {quoted(value)}")
    return value


def bind_address(name: str, port: int) -> str:
    """Return where the web process listens: address:port, a port, unix:/path, or an inherited fd://3."""
    value = text(name)
    for one in value.split(",") if value else ():
        if not _is_bind_address(one.strip()):
            raise InvalidSetting(
                name, f"must be address:port, unix:/path of a socket or fd://number, not {quoted(one)}"
            )
    return value or f"127.0.0.1:{port}"


def _is_bind_address(value: str) -> bool:
    if value.startswith("unix:/") and not value.startswith("unix://"):
        return len(os.fsencode(value)) <= len("unix:") + MAX_SOCKET_PATH
    if re.fullmatch(r"fd://[0-9]{1,5}", value):
        return True
    host, colon, number = value.rpartition(":")
    if not colon or value.endswith("]"):  # an address without a port: gunicorn's default port
        return bool(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]|localhost", value))
    return (
        (host == "" or bool(_HOST_NAME.fullmatch(host)))
        and bool(re.fullmatch(r"[0-9]{1,5}", number))
        and 0 < int(number) <= 65535
    )


def log_file(name: str) -> str | None:
    """Return a file to append to; - is standard output; None: no log."""
    value = text(name)
    if not value or value == "-":
        return value or None
    try:
        with Path(value).open("a"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise InvalidSetting(name, f"names a file that cannot be written to: {quoted(value)} ({reason})") from None
    return value


def directory(name: str, default: str) -> Path:
    """Return a folder that exists or can be created later."""
    path = Path(text(name, default))
    try:
        existing = next((part for part in (path, *path.absolute().parents) if part.exists()), Path("/"))
        if not existing.is_dir():
            raise InvalidSetting(name, f"must be a folder, and {quoted(str(existing))} is not one")
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise InvalidSetting(name, "is too long for the paths below it")
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            name, f"names a folder that cannot be used: {getattr(error, 'strerror', None) or 'no path'}"
        ) from None
    return path


def absolute_paths(name: str) -> list[str]:
    """Return a list of absolute paths."""
    paths = words(name)
    for entry in paths:
        if not entry.startswith("/") or len(entry) > MAX_PATH_BYTES:
            raise InvalidSetting(name, f"must contain absolute paths, not {quoted(entry)}")
    return paths


def certificate_file(name: str) -> str:
    """Return the path of a file with certificates in PEM; "" where none is given."""
    value = text(name)
    if not value:
        return ""
    try:
        with Path(value).open("rb"):
            pass
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except ssl.SSLError:
        raise InvalidSetting(name, f"names a file without a certificate in PEM: {quoted(value)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise InvalidSetting(name, f"names a file that cannot be read: {quoted(value)} ({reason})") from None
    return value
