"""Reads settings from environment variables and says in one line what is wrong with them."""
import os
import tempfile
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST_IDLE = 5000  # milliseconds between two statements of one transaction, on PostgreSQL


class BadSetting(SystemExit):
    """A setting that the process cannot start with. Its text is the one line that is printed."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"deployer cannot start: {name} {reason}")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return value in ("1", "true", "yes", "on") if value else default
    raise BadSetting(name, f"must be 1 or 0, not {value!r}")


def number(name: str, default: int, least: int, most: int) -> int:
    value = text(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise BadSetting(name, f"must be a whole number from {least} to {most}, not {value!r}")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A list: values with commas or spaces between them."""
    return text(name, default).replace(",", " ").split()


def choice(name: str, known: tuple[str, ...]) -> str:
    """One of some words; the first is the default."""
    value = text(name, known[0]).lower()
    if value not in known:
        raise BadSetting(name, f"must be one of {', '.join(known)}, not {value!r}")
    return value


def networks(name: str, also: tuple[str, ...] = ()) -> list[str]:
    """A list of addresses and networks, such as 10.0.0.0/8; `also`: other words that may stand in it."""
    found = words(name)
    for entry in found:
        try:
            if entry not in also:
                ip_network(entry, strict=False)
        except ValueError:
            raise BadSetting(name, f"must hold addresses or networks such as 10.0.0.0/8, not {entry!r}") from None
    return found


def database(name: str, default: str, pool_size: int) -> dict:
    """`sqlite:///path` or `postgresql://user:password@host:port/name?option=value` as Django's DATABASES entry."""
    parts = urlsplit(text(name, default))
    if parts.scheme == "sqlite":
        # Four slashes or three: both mean the absolute path, as everybody who writes such URLs expects.
        path = Path("/" + unquote(parts.path).lstrip("/"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # SQLite makes a file, never its folder
        except OSError as error:
            raise BadSetting(name, f"lies in a folder that cannot be made: {error.strerror}") from None
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(path),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; "
                "PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;",
            },
        }
    if parts.scheme in ("postgresql", "postgres"):
        if not parts.path.strip("/"):
            raise BadSetting(name, "names no database")
        options = dict(parse_qsl(parts.query))
        # A process that is frozen, or cut off, in a transaction would keep its row locks, and nobody could take over.
        options.setdefault("options", f"-c idle_in_transaction_session_timeout={LONGEST_IDLE}")
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 0,  # the pool keeps the connections
            "OPTIONS": {**options, "pool": {"min_size": 1, "max_size": pool_size, "timeout": 20, "max_idle": 60}},
        }
    raise BadSetting(name, "must start with sqlite:// or postgresql://")


LONGEST_SOCKET = 100  # bytes; the kernel takes 107, and servers need a few for temporary names


def socket_path(wanted: Path) -> Path:
    """`wanted`, or where that is too long for a unix socket a short path that is made once and recorded beside it."""
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET:
        return wanted
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
        raise BadSetting("VAR", f"is too long for a socket, and the folder named in {record} belongs to somebody else")
    return path
