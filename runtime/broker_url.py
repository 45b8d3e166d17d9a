"""Parse BROKER_URL at the start. An invalid one is refused with one line that contains no secret.

    redis://user:password@host:6379/0        rediss:// with TLS; redis+socket:///path/of/a.sock?virtual_host=0
    sentinel://:password@one:26379;sentinel://two:26379/0?master_name=main      sentinels:// with TLS
    amqp://user:password@host:5672/vhost     amqps:// with TLS

Several addresses are separated by `;`: of Sentinels, or of servers that replace each other. User, password, path and
parameters apply to all of them, wherever they are parameters.
"""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .environment import InvalidSetting, secret

PROTOCOLS = {
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
# Seconds: no wait for a broker is longer, so that a frozen or unreachable one is given up.
CONNECT_TIMEOUT, ANSWER_TIMEOUT, HEALTH_CHECK_INTERVAL = 3, 3, 3
HEARTBEAT = 4  # of AMQP, seconds: a server silent for two of them counts as gone
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 8000))
    if hasattr(socket, name)  # the last in milliseconds; some systems lack it
}


@dataclass(frozen=True)
class Broker:
    """Celery's broker settings. `url`: empty if not set; `tls`: None without TLS; `options`: of the transport."""

    url: str = ""
    tls: dict | None = None
    options: dict = field(default_factory=dict)


def broker(name: str) -> Broker:
    """Return the broker that the setting NAME describes. Raise InvalidSetting."""
    value = secret(name)
    if not value:
        return Broker(options=transport_options("socket"))
    return BrokerUrlParser(name).read(value)


def transport_options(protocol: str) -> dict:
    """Return the transport options that bound every wait for a broker of this protocol."""
    if protocol == "amqp":
        return {"read_timeout": ANSWER_TIMEOUT, "write_timeout": ANSWER_TIMEOUT, "socket_settings": KEEPALIVE}
    return {
        "socket_timeout": ANSWER_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }


class BrokerUrlParser:
    """Parse the value of one setting. Every error is an InvalidSetting of that name."""

    def __init__(self, name: str):
        self.name = name

    def invalid(self, reason: str) -> InvalidSetting:
        return InvalidSetting(self.name, reason)

    def read(self, value: str) -> Broker:
        parts = [self._split(part) for part in value.split(";")]
        if len({part.scheme for part in parts}) > 1:
            raise self.invalid("has addresses with different schemes: all must use the same one")
        scheme = parts[0].scheme
        protocol = PROTOCOLS[scheme]
        for part in parts:
            self._check_host(part, protocol)
        parameters = self._parameters(parts, protocol, scheme in WITH_TLS)
        path = self._path(parts, protocol, parameters)
        tls = self._tls(parameters) if scheme in WITH_TLS else None
        user = next((part.netloc.rpartition("@")[0] + "@" for part in parts if "@" in part.netloc), "")
        hosts = [part.netloc.rpartition("@")[2] for part in parts]
        kombu = {"sentinels": "sentinel"}.get(scheme, scheme)
        url = ";".join(f"{kombu}://{user}{host}{path}" for host in hosts)
        return Broker(url, self._library_options(tls, protocol), self._options(protocol, parameters, tls))

    # ---- an address --------------------------------------------------------------------------------------------------

    def _split(self, value: str) -> SplitResult:
        if not value.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in value):
            raise self.invalid("contains spaces or non-ASCII characters: percent-encode them")
        try:
            parts = urlsplit(value)
            port = parts.port  # raises ValueError for an invalid port
        except ValueError:
            raise self.invalid(f"is not a valid URL: {_ENCODED}") from None
        if parts.scheme not in PROTOCOLS:
            raise self.invalid(f"must start with one of {', '.join(f'{part}://' for part in PROTOCOLS)}")
        if not value.startswith(f"{parts.scheme}://"):
            raise self.invalid(f"must start with {parts.scheme}://")
        if parts.fragment or "#" in value or "@" in parts.path + parts.query:
            raise self.invalid(f"is not a valid URL: {_ENCODED}")
        if port == 0:
            raise self.invalid("has the port 0")
        return parts

    def _check_host(self, parts: SplitResult, protocol: str) -> None:
        if protocol == "socket":
            if parts.hostname or parts.port:
                raise self.invalid("must name a path after three slashes: redis+socket:///run/broker.sock")
            if not parts.path.strip("/"):
                raise self.invalid("does not name a socket")
        elif not parts.hostname and (parts.netloc or protocol == "sentinel"):
            raise self.invalid(f"does not name a host: {_ENCODED}")
        if any(char in (parts.username or "") + (parts.hostname or "") for char in "\"'`<>\\^{}|"):
            raise self.invalid(f"is not a valid URL: {_ENCODED}")

    def _path(self, parts: list[SplitResult], protocol: str, parameters: dict[str, str]) -> str:
        paths = {part.path for part in parts if part.path.strip("/") or (protocol == "amqp" and part.path)}
        if len(paths) > 1:
            raise self.invalid("has addresses with different paths")
        path = next(iter(paths), "/")
        if protocol == "amqp":
            return path
        number = parameters.pop("virtual_host", "") if protocol in ("redis", "socket") else ""
        if protocol == "socket":
            self._check_number(number)
            return path + (f"?virtual_host={number}" if number else "")
        self._check_number(unquote(path.strip("/")) or number)
        return f"/{path.strip('/') or number}"

    def _check_number(self, number: str) -> None:
        if number and not (number.isascii() and number.isdigit() and len(number) <= 5):
            raise self.invalid("must name its database by a number: redis://host:6379/0")

    # ---- parameters --------------------------------------------------------------------------------------------------

    def _parameters(self, parts: list[SplitResult], protocol: str, tls: bool) -> dict[str, str]:
        known = (*PARAMETERS[protocol], *(TLS_PARAMETERS if tls else ()))
        parameters: dict[str, str] = {}
        for part in parts:
            try:
                pairs = parse_qsl(part.query, keep_blank_values=True, strict_parsing=bool(part.query))
            except ValueError:
                raise self.invalid("has parameters that are not name=value pairs") from None
            for name, value in pairs:
                if name in TLS_PARAMETERS and not tls:
                    raise self.invalid(
                        f"has the parameter {name}, which needs TLS: use rediss://, sentinels:// or amqps://"
                    )
                if name not in known:  # not quoted: the name may be part of a password
                    raise self.invalid(f"has an unknown parameter; allowed: {', '.join(known) or 'none'}")
                if not value or parameters.get(name, value) != value:
                    raise self.invalid(f"has an empty {name}, or two different values of it")
                parameters[name] = value
        return parameters

    def _options(self, protocol: str, parameters: dict[str, str], tls: dict | None) -> dict:
        options = transport_options(protocol)
        if protocol == "sentinel":
            if "master_name" not in parameters:
                raise self.invalid("must name the master that the Sentinels watch: …/0?master_name=main")
            own = {
                part: parameters[f"sentinel_{part}"]
                for part in ("username", "password")
                if f"sentinel_{part}" in parameters
            }
            options["master_name"] = parameters["master_name"]
            options["sentinel_kwargs"] = {
                "socket_timeout": CONNECT_TIMEOUT,
                "socket_connect_timeout": CONNECT_TIMEOUT,
                **own,
                **({"ssl": True, **tls} if tls else {}),
            }
        return options

    # ---- TLS ---------------------------------------------------------------------------------------------------------

    def _tls(self, parameters: dict[str, str]) -> dict:
        """Return redis-py's TLS options. Certificate and name are verified by default: Celery's own default accepts any
        certificate, and sends it the password."""
        wanted = parameters.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        if wanted not in _REQUIREMENTS:
            raise self.invalid("has an ssl_cert_reqs that is neither required nor none")
        named = parameters.pop("ssl_check_hostname", "true").lower()
        if named not in ("true", "false"):
            raise self.invalid("has an ssl_check_hostname that is neither true nor false")
        files = {option: parameters.pop(option) for option in TLS_PARAMETERS[2:] if option in parameters}
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
                reason = getattr(error, "strerror", None) or "not a valid path"
                raise self.invalid(f"names a file in {option} that cannot be read: {path!r} ({reason})") from None
        if "ssl_keyfile" in files and "ssl_certfile" not in files:
            raise self.invalid("has an ssl_keyfile without an ssl_certfile")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if "ssl_ca_certs" in files:
                context.load_verify_locations(files["ssl_ca_certs"])
        except ssl.SSLError:
            raise self.invalid("names a file in ssl_ca_certs without a certificate in PEM") from None
        try:
            if "ssl_certfile" in files:
                context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"), password=lambda: "")
        except (ssl.SSLError, ValueError):
            raise self.invalid(
                "must name a certificate and its key in PEM, without a passphrase, in ssl_certfile and ssl_keyfile"
            ) from None

    def _library_options(self, tls: dict | None, protocol: str) -> dict | None:
        """Return the TLS options of the client library. py-amqp has its own names; `server_hostname` None verifies the
        name of the connected server (runtime/amqps.py)."""
        if tls is None or protocol != "amqp":
            return tls
        named = {"server_hostname": None} if tls["ssl_check_hostname"] else {}
        return {
            option.removeprefix("ssl_"): value for option, value in tls.items() if option != "ssl_check_hostname"
        } | named
