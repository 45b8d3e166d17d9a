"""Settings that name places: addresses, folders, files. Wrong ones are a BadSetting, as in runtime/environment.py."""

import os
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from .environment import LONGEST_SOCKET, BadSetting, shown, text, words

LONGEST_FOLDER = 3000  # bytes of a path, below which others lie
_HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]{2,45}\]")


def host_names(name: str, default: str) -> list[str]:
    """A list of names that requests may ask for: example.com, .example.com with all below it, an address, or *."""
    found = words(name, default)
    for word in found:
        if not _HOST_NAME.fullmatch(word):
            raise BadSetting(
                name,
                f"must hold host names such as deploy.example.com, without scheme, port or path, not {shown(word)}",
            )
    return found


def address(name: str, default: str) -> str:
    """Where people reach the system: http:// or https://, a host, and a port perhaps. Without a slash at its end."""
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise BadSetting(name, "is no address that can be read") from None
    if parts.username is not None or parts.password is not None or "@" in value:
        raise BadSetting(name, "must hold no user and no password")
    good = _HOST_NAME.fullmatch(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
    if parts.scheme not in ("http", "https") or not good or port == 0 or parts.path or parts.query or parts.fragment:
        raise BadSetting(name, f"must be an address such as https://deploy.example.com, not {shown(value)}")
    return value


def listening(name: str, port: int) -> str:
    """Where the web process listens: address:port, a port, unix:/path, or fd://3 of whoever starts it."""
    value = text(name)
    for one in value.split(",") if value else ():
        if not _may_be_listened_at(one.strip()):
            raise BadSetting(name, f"must be address:port, unix:/path of a socket or fd://number, not {shown(one)}")
    return value or f"127.0.0.1:{port}"


def _may_be_listened_at(value: str) -> bool:
    if value.startswith("unix:/") and not value.startswith("unix://"):
        return len(os.fsencode(value)) <= len("unix:") + LONGEST_SOCKET
    if re.fullmatch(r"fd://[0-9]{1,5}", value):
        return True
    host, colon, number = value.rpartition(":")
    if not colon or value.endswith("]"):  # an address alone, at gunicorn's own port
        return bool(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]|localhost", value))
    return (
        (host == "" or bool(_HOST_NAME.fullmatch(host)))
        and bool(re.fullmatch(r"[0-9]{1,5}", number))
        and 0 < int(number) <= 65535
    )


def log_file(name: str) -> str | None:
    """A file that lines are added to; - is standard output; None: no lines are wanted."""
    value = text(name)
    if not value or value == "-":
        return value or None
    try:
        with Path(value).open("a"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise BadSetting(name, f"names a file that cannot be written to: {shown(value)} ({reason})") from None
    return value


def folder(name: str, default: str) -> Path:
    """A folder that is there, or can be made later."""
    path = Path(text(name, default))
    try:
        there = next((one for one in (path, *path.absolute().parents) if one.exists()), Path("/"))
        if not there.is_dir():
            raise BadSetting(name, f"must be a folder, and {shown(str(there))} is none")
        if len(os.fsencode(path)) > LONGEST_FOLDER:
            raise BadSetting(name, "is too long for the paths of what lies in it")
    except (OSError, ValueError) as error:
        raise BadSetting(
            name, f"names a folder that cannot be used: {getattr(error, 'strerror', None) or 'no path'}"
        ) from None
    return path


def places(name: str) -> list[str]:
    """A list of absolute paths."""
    found = words(name)
    for entry in found:
        if not entry.startswith("/") or len(entry) > LONGEST_FOLDER:
            raise BadSetting(name, f"must hold absolute paths, not {shown(entry)}")
    return found


def certificates(name: str) -> str:
    """The path of a file with certificates in PEM; "": none is given."""
    value = text(name)
    if not value:
        return ""
    try:
        with Path(value).open("rb"):
            pass
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except ssl.SSLError:
        raise BadSetting(name, f"names a file that holds no certificate in PEM: {shown(value)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise BadSetting(name, f"names a file that cannot be read: {shown(value)} ({reason})") from None
    return value
