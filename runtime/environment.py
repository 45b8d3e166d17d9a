"""Reads settings from environment variables and says in one line what is wrong with them."""

import os
import tempfile
from ipaddress import ip_network
from pathlib import Path

# What `forget_secrets` takes away: whoever reads one of them reads every key, package and session.
SECRETS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "BROKER_URL", "BUILD_WEBHOOK_SECRET")
LONGEST_NUMBER = 12  # digits


class BadSetting(SystemExit):
    """A setting that the process cannot start with. Its text is the one line that is printed."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"deployer cannot start: {name} {reason}")


def shown(value: str) -> str:
    """A value that is no secret, in a line about it: whatever it holds, it makes no second line and no long one."""
    return repr(value if len(value) <= 80 else value[:77] + "…").encode("ascii", "backslashreplace").decode()


def text(name: str, default: str = "") -> str:
    value = os.environ.get(name, "").strip()
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadSetting(name, "is not UTF-8 text") from None
    return value or default


def secret(name: str, default: str = "") -> str:
    """A setting that nobody else may read: the variable NAME, the file that NAME_FILE names, or the service manager's
    credential of that name (systemd's LoadCredential=). A file keeps it out of the environment, which every process
    of the same user can read as long as this one lives."""
    value, path = text(name), text(f"{name}_FILE")
    if value and path:
        raise BadSetting(name, f"is given twice: leave {name} or {name}_FILE away")
    credential = Path(text("CREDENTIALS_DIRECTORY")) / name if text("CREDENTIALS_DIRECTORY") else None
    if value:
        return value
    if path:
        return _read(f"{name}_FILE", Path(path))
    try:
        given = credential is not None and credential.is_file()
    except (OSError, ValueError):  # such a folder cannot be: nothing lies in it
        given = False
    return _read(name, credential) if given and credential is not None else default


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or no path"
        raise BadSetting(name, f"names a file that cannot be read ({shown(str(path))}): {reason}") from None


def forget_secrets() -> None:
    """Takes what `secret` read out of this process's environment, so that no child inherits it."""
    for name in SECRETS:
        os.environ.pop(name, None)


def mask(name: str, default: int) -> int:
    """A umask in octal digits, such as 077."""
    value = text(name)
    if not value:
        return default
    if len(value) > LONGEST_NUMBER or not value.isascii() or set(value) - set("01234567") or int(value, 8) > 0o777:
        raise BadSetting(name, f"must be a umask in octal digits such as 077, not {shown(value)}")
    return int(value, 8)


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return value in ("1", "true", "yes", "on") if value else default
    raise BadSetting(name, f"must be 1 or 0, not {shown(value)}")


def number(name: str, default: int, least: int, most: int) -> int:
    value = text(name)
    if not value:
        return default
    digits = len(value) <= LONGEST_NUMBER and value.isascii() and value.isdigit()
    if not digits or not least <= int(value) <= most:
        raise BadSetting(name, f"must be a whole number from {least} to {most}, not {shown(value)}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A list: values with commas or spaces between them."""
    return listed(text(name, default))


def listed(value: str) -> list[str]:
    return value.replace(",", " ").split()


def choice(name: str, known: tuple[str, ...]) -> str:
    """One of some words; the first is the default."""
    value = text(name, known[0]).lower()
    if value not in known:
        raise BadSetting(name, f"must be one of {', '.join(known)}, not {shown(value)}")
    return value


def networks(name: str, also: tuple[str, ...] = ()) -> list[str]:
    """A list of addresses and networks, such as 10.0.0.0/8; `also`: other words that may stand in it."""
    found = words(name)
    for entry in found:
        try:
            if entry not in also:
                ip_network(entry, strict=False)
        except ValueError:
            raise BadSetting(name, f"must hold addresses or networks such as 10.0.0.0/8, not {shown(entry)}") from None
    return found


def several(name: str, known: tuple[str, ...], default: str) -> list[str]:
    """A list of some words."""
    found = words(name, default)
    for word in found:
        if word not in known:
            raise BadSetting(name, f"must be some of {', '.join(known)}, not {shown(word)}")
    return found


def keep_to_ourselves(name: str, database: Path) -> None:
    """Takes from others the right to read a SQLite database: it holds sessions and password hashes. What an earlier
    version left readable is mended; where that cannot be, the start is refused. The group keeps what UMASK gives it."""
    if not database.name:
        raise BadSetting(name, "names no file")
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
            raise BadSetting(
                name, f"names a database that others can read, and that cannot be changed ({path}): {error.strerror}"
            ) from None


LONGEST_SOCKET = 100  # bytes; the kernel takes 107, and servers need a few for temporary names


def socket_path(wanted: Path) -> Path:
    """`wanted`, or where that is too long for a unix socket a short path that is made once and recorded beside it."""
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET:
        return wanted
    try:
        return _short_socket(wanted)
    except OSError as error:
        raise BadSetting("DATA_DIR", f"must be a folder that can be written to: {error.strerror}") from None


def _short_socket(wanted: Path) -> Path:
    record = wanted.with_name(wanted.name + ".path")
    if not record.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="deployer-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)
        with tempfile.NamedTemporaryFile("w", dir=wanted.parent, prefix=".broker-") as file:
            file.write(str(Path(folder) / wanted.name))
            file.flush()
            try:
                os.link(file.name, record)  # of two processes that start at once, one records and both read it
            except FileExistsError:
                Path(folder).rmdir()
    path = Path(record.read_text())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # /tmp is emptied now and then
    if path.parent.stat().st_uid != os.geteuid():
        raise BadSetting(
            "DATA_DIR", f"is too long for a socket, and the folder named in {record} belongs to somebody else"
        )
    return path
