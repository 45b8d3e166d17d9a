"""Read settings from environment variables. An invalid one raises InvalidSetting, whose text is one line."""

import os
import tempfile
from ipaddress import ip_network
from pathlib import Path

# Removed by `forget_secrets`: anyone who reads one of these can read every key, package or session.
SECRETS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "BROKER_URL", "BUILD_WEBHOOK_SECRET")
MAX_DIGITS = 12  # digits


class InvalidSetting(SystemExit):
    """A setting with which the process cannot start. Its text is the one line that is printed."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"deployer cannot start: {name} {reason}")


def quoted(value: str) -> str:
    """Quote a value that is not secret, for an error of one line: printable ASCII, at most 80 characters."""
    return repr(value if len(value) <= 80 else value[:77] + "…").encode("ascii", "backslashreplace").decode()


def text(name: str, default: str = "") -> str:
    value = os.environ.get(name, "").strip()
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidSetting(name, "is not UTF-8 text") from None
    return value or default


def secret(name: str, default: str = "") -> str:
    """Return a secret: from the variable NAME, the file NAME_FILE, or the service manager's credential of that name
    (systemd's LoadCredential=).

    A file keeps it out of the environment, which every process of the same user can read while this one runs.
    """
    value, path = text(name), text(f"{name}_FILE")
    if value and path:
        raise InvalidSetting(name, f"is set twice: remove {name} or {name}_FILE")
    credential = Path(text("CREDENTIALS_DIRECTORY")) / name if text("CREDENTIALS_DIRECTORY") else None
    if value:
        return value
    if path:
        return _read(f"{name}_FILE", Path(path))
    try:
        exists = credential is not None and credential.is_file()
    except (OSError, ValueError):  # not a valid folder: no credential there
        exists = False
    return _read(name, credential) if exists and credential is not None else default


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or not a valid path"
        raise InvalidSetting(name, f"names a file that cannot be read ({quoted(str(path))}): {reason}") from None


def forget_secrets() -> None:
    """Remove the secrets from this process's environment, so that no child inherits them."""
    for name in SECRETS:
        os.environ.pop(name, None)


def mask(name: str, default: int) -> int:
    """Return a umask, given in octal digits such as 077."""
    value = text(name)
    if not value:
        return default
    if len(value) > MAX_DIGITS or not value.isascii() or set(value) - set("01234567") or int(value, 8) > 0o777:
        raise InvalidSetting(name, f"must be a umask in octal digits such as 077, not {quoted(value)}")
    return int(value, 8)


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return value in ("1", "true", "yes", "on") if value else default
    raise InvalidSetting(name, f"must be 1 or 0, not {quoted(value)}")


def number(name: str, default: int, least: int, most: int) -> int:
    value = text(name)
    if not value:
        return default
    digits = len(value) <= MAX_DIGITS and value.isascii() and value.isdigit()
    if not digits or not least <= int(value) <= most:
        raise InvalidSetting(name, f"must be a whole number from {least} to {most}, not {quoted(value)}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """Return a list, given with commas or spaces between the values."""
    return split_list(text(name, default))


def split_list(value: str) -> list[str]:
    return value.replace(",", " ").split()


def choice(name: str, known: tuple[str, ...]) -> str:
    """Return one of the allowed words; the first is the default."""
    value = text(name, known[0]).lower()
    if value not in known:
        raise InvalidSetting(name, f"must be one of {', '.join(known)}, not {quoted(value)}")
    return value


def networks(name: str, also: tuple[str, ...] = ()) -> list[str]:
    """Return a list of addresses and networks such as 10.0.0.0/8. `also`: other words that it may contain."""
    entries = words(name)
    for entry in entries:
        try:
            if entry not in also:
                ip_network(entry, strict=False)
        except ValueError:
            raise InvalidSetting(
                name, f"must contain addresses or networks such as 10.0.0.0/8, not {quoted(entry)}"
            ) from None
    return entries


def subset(name: str, known: tuple[str, ...], default: str) -> list[str]:
    """Return a list of allowed words."""
    chosen = words(name, default)
    for word in chosen:
        if word not in known:
            raise InvalidSetting(name, f"must be one or more of {', '.join(known)}, not {quoted(word)}")
    return chosen


def restrict_access(name: str, database: Path) -> None:
    """Remove other users' permissions on a SQLite database: it holds sessions and password hashes.

    Files of earlier versions are corrected too. Raise InvalidSetting if that is not possible. The group keeps the
    permissions that UMASK allows.
    """
    if not database.name:
        raise InvalidSetting(name, "does not name a file")
    umask = os.umask(0o077)
    os.umask(umask)
    forbidden = (umask & 0o070) | 0o007
    for path in (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal"))):
        try:
            mode = path.stat().st_mode
            if mode & forbidden:
                path.chmod(mode & 0o777 & ~forbidden)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InvalidSetting(
                name,
                f"names a database that other users can read; its mode cannot be changed ({path}): {error.strerror}",
            ) from None


MAX_SOCKET_PATH = 100  # bytes; the kernel allows 107, and servers need a few for temporary names


def socket_path(wanted: Path) -> Path:
    """Return `wanted`, or if it is too long for a unix socket a short path, created once and recorded beside it."""
    if len(os.fsencode(wanted)) <= MAX_SOCKET_PATH:
        return wanted
    try:
        return _short_socket(wanted)
    except OSError as error:
        raise InvalidSetting("DATA_DIR", f"must be a writable folder: {error.strerror}") from None


def _short_socket(wanted: Path) -> Path:
    record = wanted.with_name(wanted.name + ".path")
    if not record.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="deployer-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)
        with tempfile.NamedTemporaryFile("w", dir=wanted.parent, prefix=".broker-") as file:
            file.write(str(Path(folder) / wanted.name))
            file.flush()
            try:
                os.link(file.name, record)  # of two processes that start at once, one creates it and both read it
            except FileExistsError:
                Path(folder).rmdir()
    path = Path(record.read_text())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # /tmp may have been emptied
    if path.parent.stat().st_uid != os.geteuid():
        raise InvalidSetting(
            "DATA_DIR", f"is too long for a socket, and the folder named in {record} belongs to another user"
        )
    return path
