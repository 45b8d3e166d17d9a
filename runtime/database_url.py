"""Parse DATABASE_URL into Django's DATABASES entry. No error quotes it."""

import re
import shlex
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from . import environment as env
from .postgresql import limits

UNREADABLE = "is not a valid URL: percent-encode its user and password (%40 for @, %2F for /, %25 for %)"
POOLERS = ("auto", "none", "session", "transaction")
VERIFICATION = ("required", "none")
SESSIONS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SETTING = re.compile(r"-c\s{0,9}([a-z_.]{1,64})=(\S*)|--([a-z][a-z_.-]{0,63})=(\S*)")
_UNITS = {"": 1, "ms": 1, "s": 1000, "min": 60_000}


def database(name: str, default: str, pool_size: int) -> dict:
    """Parse `sqlite:///path` or `postgresql://user:password@host:port,host:port/name?option=value`."""
    value = env.secret(name, default)
    scheme = value.partition("://")[0]
    if scheme == "sqlite":
        return _sqlite(name, value)
    if scheme in ("postgresql", "postgres"):
        return _postgresql(name, value, pool_size)
    raise env.InvalidSetting(name, "must start with sqlite:// or postgresql://")


def _sqlite(name: str, value: str) -> dict:
    # Three slashes or four: both mean the absolute path.
    try:
        path = Path("/" + unquote(urlsplit(value).path).lstrip("/"))
    except ValueError:
        raise env.InvalidSetting(name, "is not a valid URL: it must be sqlite:// and a path") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # SQLite creates the file, but not its folder
    except OSError as error:
        raise env.InvalidSetting(name, f"is in a folder that cannot be created: {error.strerror}") from None
    env.restrict_access(name, path)
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


def _postgresql(name: str, value: str, pool_size: int) -> dict:
    parts, own = _read(name, value)
    _check_hosts(name, parts)
    _check_tls(name, parts, own)
    session = _session_settings(name, parts)
    pooler = own.get("pooler", "auto")
    if pooler not in POOLERS:
        raise env.InvalidSetting(name, f"has a pooler that is not one of {', '.join(POOLERS)}")
    usual = {
        "connect_timeout": limits.CONNECT_TIMEOUT,
        "keepalives": 1,
        "keepalives_idle": limits.PROBE_AFTER,
        "keepalives_interval": limits.PROBE_EVERY,
        "keepalives_count": limits.PROBES,
        "tcp_user_timeout": limits.UNANSWERED,
    }
    # Stuck sessions are recognised by this name; a migration has another and is never ended.
    parts["application_name"] = parts.get("application_name", limits.NAME) + limits.chosen.suffix
    entry = {key.upper(): parts.pop(key, "") for key in ("user", "password", "host", "port")}
    return {
        "ENGINE": "runtime.postgresql",
        "NAME": parts.pop("dbname"),
        **entry,
        "CONN_MAX_AGE": 0,  # the pool keeps the connections
        "DISABLE_SERVER_SIDE_CURSORS": True,  # a pooler may run the next statement in another session
        "OPTIONS": {**usual, **parts, "given": session, "pooler": pooler, "pool": {"max_size": pool_size}},
    }


def _read(name: str, value: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the URL as libpq parses it, and our own options. libpq's errors quote the URL and are not passed on."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    plain, mark, query = value.rpartition("?") if "?" in value.rpartition("@")[2] else (value, "", "")
    options = parse_qsl(query, keep_blank_values=True)
    own = {key: word for key, word in options if key in ("pooler", "ssl_cert_reqs")}
    theirs = urlencode([(key, word) for key, word in options if key not in own], quote_via=quote)
    try:
        parts = {key: str(word) for key, word in conninfo_to_dict(plain + mark + theirs).items()}
    except (ProgrammingError, UnicodeError) as error:
        unknown = re.search(r'invalid URI query parameter: "([a-z_]+)"', str(error))
        if unknown and any(key == unknown[1] for key, _ in options):
            raise env.InvalidSetting(name, f"has an option that PostgreSQL does not know: {unknown[1]}") from None
        raise env.InvalidSetting(name, UNREADABLE) from None
    parts["dbname"] = parts.get("dbname", "").strip("/")
    if any("@" in parts.get(key, "") for key in ("host", "port", "dbname")):
        raise env.InvalidSetting(name, UNREADABLE)
    if not parts["dbname"]:
        raise env.InvalidSetting(name, "does not name a database")
    return parts, own


def _check_hosts(name: str, parts: dict[str, str]) -> None:
    """Check hosts and ports. Several hosts are tried in turn, by default until one accepts writes."""
    hosts, ports = parts.get("host", "").split(","), parts.get("port", "").split(",")
    for port in ports:
        if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            raise env.InvalidSetting(name, "has a port that is not a number from 1 to 65535")
    if len(ports) not in (1, len(hosts)):
        raise env.InvalidSetting(name, f"has {len(ports)} ports for {len(hosts)} hosts")
    if len(hosts) > 1:
        parts.setdefault("target_session_attrs", "read-write")
    if parts.get("target_session_attrs", "any") not in SESSIONS:
        raise env.InvalidSetting(name, f"has a target_session_attrs that is not one of {', '.join(SESSIONS)}")


def _check_tls(name: str, parts: dict[str, str], own: dict[str, str]) -> None:
    """With TLS, verify the server's certificate and name unless told not to."""
    verification = own.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if verification not in VERIFICATION:
        raise env.InvalidSetting(name, "has an ssl_cert_reqs that is neither required nor none")
    mode = parts.get("sslmode", "")
    if mode and mode not in MODES:
        raise env.InvalidSetting(name, f"has an sslmode that is not one of {', '.join(MODES)}")
    if verification == "none":
        if mode.startswith("verify"):
            raise env.InvalidSetting(name, f"has sslmode={mode} and ssl_cert_reqs=none, which exclude each other")
        parts["sslmode"] = mode or "require"
        return
    if mode == "require" or (not mode and "sslrootcert" in parts):
        parts["sslmode"] = mode = "verify-full"
    for option in TLS_FILES:
        path = parts.get(option)
        if path and path != "system":
            _check_readable(name, option, path)
    if mode == "verify-ca" and "sslrootcert" not in parts:
        raise env.InvalidSetting(name, "has sslmode=verify-ca, which needs sslrootcert")
    if mode == "verify-full" and parts.get("sslrootcert", "system") == "system":
        parts["sslrootcert"] = _authorities(name)


def _check_readable(name: str, option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        problem = f"{env.quoted(path)} ({getattr(error, 'strerror', None) or 'not a valid path'})"
        raise env.InvalidSetting(name, f"names a file in {option} that cannot be read: {problem}") from None


def _authorities(name: str) -> str:
    """Return the system's CA certificates. psycopg's own OpenSSL looks for them elsewhere."""
    path = ssl.get_default_verify_paths().cafile
    if not path:
        raise env.InvalidSetting(name, "uses TLS, and this machine has no CA certificates: set sslrootcert")
    return path


def _session_settings(name: str, parts: dict[str, str]) -> dict[str, str]:
    """Extract the settings of `options=-c name=value`: they are set after connecting, because poolers refuse `options`.
    Times are returned in milliseconds."""
    try:
        words = shlex.split(parts.pop("options", ""))
    except ValueError:
        raise env.InvalidSetting(name, "has options that cannot be read") from None
    text, options = " ".join(words), {}
    for match in _SETTING.finditer(text):
        setting = (match[1] or match[3]).replace("-", "_")
        options[setting] = match[2] or match[4] or ""
    if _SETTING.sub("", text).strip():
        raise env.InvalidSetting(name, "has options that are not -c name=value")
    return {setting: _milliseconds(name, setting, word) for setting, word in options.items()}


def _milliseconds(name: str, setting: str, word: str) -> str:
    if setting not in limits.of_transactions(limits.WEB, limits.LATEST_VERSION):
        return word
    match = re.fullmatch(r"(\d{1,9})\s*([a-z]*)", word)
    if not match or match[2] not in _UNITS:
        raise env.InvalidSetting(name, f"has a {setting} that is not a number of ms, s or min")
    return str(int(match[1]) * _UNITS[match[2]])
