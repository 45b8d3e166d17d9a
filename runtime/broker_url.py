"""BROKER_URL: read whole at the start, and refused with one line that holds no secret.

    redis://user:password@host:6379/0        rediss:// with TLS; redis+socket:///path/of/a.sock?virtual_host=0
    sentinel://:password@one:26379;sentinel://two:26379/0?master_name=main      sentinels:// with TLS
    amqp://user:password@host:5672/vhost     amqps:// with TLS

Several addresses stand with `;` between them: of Sentinels, or of servers that take over for each other. User,
password, path and parameters are those of all of them, wherever they stand.
"""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .environment import BadSetting, secret

SPEAKS = {
    "redis": "redis",
    "rediss": "redis",
    "redis+socket": "socket",
    "sentinel": "sentinel",
    "sentinels": "sentinel",
    "amqp": "amqp",
    "amqps": "amqp",
}
WITH_TLS = ("rediss", "sentinels", "amqps")
TLS_PARAMETERS = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
PARAMETERS = {
    "redis": ("virtual_host",),
    "socket": ("virtual_host",),
    "amqp": (),
    "sentinel": ("master_name", "sentinel_username", "sentinel_password"),
}
_REQUIREMENTS = {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE}
_ENCODED = "is its password percent-encoded?"
# No wait for a broker is longer than these seconds, whatever it does: one that is frozen or cut off is given up.
CONNECT, ANSWER, SILENCE = 3, 3, 3
HEARTBEAT = 4  # of AMQP: a server that was silent for two of them is taken to be gone
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 8000))
    if hasattr(socket, name)  # milliseconds the last one; some systems lack it
}


@dataclass(frozen=True)
class Broker:
    """What Celery is told. `url`: its broker_url, empty where none is given; `tls`: how TLS is spoken, None: not at
    all; `options`: the transport's."""

    url: str = ""
    tls: dict | None = None
    options: dict = field(default_factory=dict)


def broker(name: str) -> Broker:
    """The broker that the setting NAME describes. Raises BadSetting."""
    value = secret(name)
    if not value:
        return Broker(options=options_of("socket"))
    return Reader(name).read(value)


def options_of(speaks: str) -> dict:
    """What bounds every wait for a broker that speaks so."""
    if speaks == "amqp":
        return {"read_timeout": ANSWER, "write_timeout": ANSWER, "socket_settings": KEEPALIVE}
    return {
        "socket_timeout": ANSWER,
        "socket_connect_timeout": CONNECT,
        "health_check_interval": SILENCE,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }


class Reader:
    """Reads one setting's value; whatever is wrong with it is a BadSetting of that name."""

    def __init__(self, name: str):
        self.name = name

    def wrong(self, reason: str) -> BadSetting:
        return BadSetting(self.name, reason)

    def read(self, value: str) -> Broker:
        parts = [self._split(one) for one in value.split(";")]
        if len({one.scheme for one in parts}) > 1:
            raise self.wrong("has addresses of several kinds: all must start with the same word")
        scheme = parts[0].scheme
        speaks = SPEAKS[scheme]
        for one in parts:
            self._check_place(one, speaks)
        given = self._parameters(parts, speaks, scheme in WITH_TLS)
        path = self._path(parts, speaks, given)
        tls = self._tls(given) if scheme in WITH_TLS else None
        user = next((one.netloc.rpartition("@")[0] + "@" for one in parts if "@" in one.netloc), "")
        hosts = [one.netloc.rpartition("@")[2] for one in parts]
        kombu = {"sentinels": "sentinel"}.get(scheme, scheme)
        url = ";".join(f"{kombu}://{user}{host}{path}" for host in hosts)
        return Broker(url, self._spoken(tls, speaks), self._options(speaks, given, tls))

    # ---- an address --------------------------------------------------------------------------------------------------

    def _split(self, value: str) -> SplitResult:
        if not value.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in value):
            raise self.wrong("holds blanks or characters beyond ASCII: percent-encode them")
        try:
            parts = urlsplit(value)
            port = parts.port  # raises for one that is no number
        except ValueError:
            raise self.wrong(f"is no address that can be read: {_ENCODED}") from None
        if parts.scheme not in SPEAKS:
            raise self.wrong(f"must start with one of {', '.join(f'{one}://' for one in SPEAKS)}")
        if not value.startswith(f"{parts.scheme}://"):
            raise self.wrong(f"must start with {parts.scheme}://")
        if parts.fragment or "#" in value or "@" in parts.path + parts.query:
            raise self.wrong(f"is no address that can be read: {_ENCODED}")
        if port == 0:
            raise self.wrong("has the port 0")
        return parts

    def _check_place(self, parts: SplitResult, speaks: str) -> None:
        if speaks == "socket":
            if parts.hostname or parts.port:
                raise self.wrong("must name a path after three slashes: redis+socket:///run/broker.sock")
            if not parts.path.strip("/"):
                raise self.wrong("names no socket")
        elif not parts.hostname and (parts.netloc or speaks == "sentinel"):
            raise self.wrong(f"names no host: {_ENCODED}")
        if any(char in (parts.username or "") + (parts.hostname or "") for char in "\"'`<>\\^{}|"):
            raise self.wrong(f"is no address that can be read: {_ENCODED}")

    def _path(self, parts: list[SplitResult], speaks: str, given: dict[str, str]) -> str:
        paths = {one.path for one in parts if one.path.strip("/") or (speaks == "amqp" and one.path)}
        if len(paths) > 1:
            raise self.wrong("has addresses with different paths")
        path = next(iter(paths), "/")
        if speaks == "amqp":
            return path
        number = given.pop("virtual_host", "") if speaks in ("redis", "socket") else ""
        if speaks == "socket":
            self._check_number(number)
            return path + (f"?virtual_host={number}" if number else "")
        self._check_number(unquote(path.strip("/")) or number)
        return f"/{path.strip('/') or number}"

    def _check_number(self, number: str) -> None:
        if number and not (number.isascii() and number.isdigit() and len(number) <= 5):
            raise self.wrong("must name its database by a number: redis://host:6379/0")

    # ---- parameters --------------------------------------------------------------------------------------------------

    def _parameters(self, parts: list[SplitResult], speaks: str, tls: bool) -> dict[str, str]:
        known = (*PARAMETERS[speaks], *(TLS_PARAMETERS if tls else ()))
        given: dict[str, str] = {}
        for one in parts:
            try:
                pairs = parse_qsl(one.query, keep_blank_values=True, strict_parsing=bool(one.query))
            except ValueError:
                raise self.wrong("has parameters that are no pairs of name=value") from None
            for name, value in pairs:
                if name in TLS_PARAMETERS and not tls:
                    raise self.wrong(
                        f"has the parameter {name}, but does not speak TLS: see rediss://, sentinels:// and amqps://"
                    )
                if name not in known:  # its name may be a piece of a password: it is not told
                    raise self.wrong(f"has a parameter that is none of {', '.join(known) or 'any that is known'}")
                if not value or given.get(name, value) != value:
                    raise self.wrong(f"has an empty {name}, or two different ones")
                given[name] = value
        return given

    def _options(self, speaks: str, given: dict[str, str], tls: dict | None) -> dict:
        options = options_of(speaks)
        if speaks == "sentinel":
            if "master_name" not in given:
                raise self.wrong("must name the master that the Sentinels watch: …/0?master_name=main")
            own = {part: given[f"sentinel_{part}"] for part in ("username", "password") if f"sentinel_{part}" in given}
            options["master_name"] = given["master_name"]
            options["sentinel_kwargs"] = {
                "socket_timeout": CONNECT,
                "socket_connect_timeout": CONNECT,
                **own,
                **({"ssl": True, **tls} if tls else {}),
            }
        return options

    # ---- TLS ---------------------------------------------------------------------------------------------------------

    def _tls(self, given: dict[str, str]) -> dict:
        """As redis-py names it. The certificate and its name are verified unless something else is said: Celery's own
        default takes a stranger's, and sends it the password."""
        wanted = given.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        if wanted not in _REQUIREMENTS:
            raise self.wrong("has an ssl_cert_reqs that is neither required nor none")
        named = given.pop("ssl_check_hostname", "true").lower()
        if named not in ("true", "false"):
            raise self.wrong("has an ssl_check_hostname that is neither true nor false")
        files = {option: given.pop(option) for option in TLS_PARAMETERS[2:] if option in given}
        self._check_files(files)
        return {
            "ssl_cert_reqs": _REQUIREMENTS[wanted],
            "ssl_check_hostname": wanted == "required" and named == "true",
            **files,
        }

    def _check_files(self, files: dict[str, str]) -> None:
        for option, path in files.items():
            try:
                with Path(path).open("rb"):
                    pass
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "no path"
                raise self.wrong(
                    f"names a file in {option} that is not there or cannot be read: {path!r} ({reason})"
                ) from None
        if "ssl_keyfile" in files and "ssl_certfile" not in files:
            raise self.wrong("names an ssl_keyfile and no ssl_certfile")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if "ssl_ca_certs" in files:
                context.load_verify_locations(files["ssl_ca_certs"])
        except ssl.SSLError:
            raise self.wrong("names a file in ssl_ca_certs that holds no certificate in PEM") from None
        try:
            if "ssl_certfile" in files:
                context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"), password=lambda: "")
        except (ssl.SSLError, ValueError):
            raise self.wrong(
                "names in ssl_certfile and ssl_keyfile no certificate with its key in PEM, without a passphrase"
            ) from None

    def _spoken(self, tls: dict | None, speaks: str) -> dict | None:
        """As the client library takes it. py-amqp has names of its own, and verifies a name where it is given one;
        None: that of whichever server is spoken to (runtime/amqps.py)."""
        if tls is None or speaks != "amqp":
            return tls
        named = {"server_hostname": None} if tls["ssl_check_hostname"] else {}
        return {
            option.removeprefix("ssl_"): value for option, value in tls.items() if option != "ssl_check_hostname"
        } | named
