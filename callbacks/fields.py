"""What the fields of a callback may be. `pointer`: where the field stands in the request. Refusals are Problems."""

import json
import re

from access.problems import invalid
from access.secrets import Secret

from . import http_client, receivers, signing

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")  # a token of RFC 9110
OWN_HEADERS = (
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
)
MAX_HEADERS = 20
MAX_SERVER = 300  # characters; names of hosts are shorter
MAX_HEADER_VALUE = MAX_URL = 2000  # characters


def checked_url(url: str, pointer: str = "/url") -> str:
    if len(url) > MAX_URL:
        raise invalid(pointer, "too_long", max=MAX_URL)
    try:
        _, host, _ = http_client.parse_url(url)
    except http_client.BadUrl as error:
        raise invalid(pointer, error.code) from error
    is_address = ":" in host or not host.strip("0123456789.")  # a name is checked whenever something is sent
    if is_address and not receivers.current().allowed.admits(host, host):
        raise invalid(pointer, "address_forbidden")
    return url


def checked_headers(headers: dict[str, str], pointer: str = "/headers") -> Secret | str:
    if len(headers) > MAX_HEADERS:
        raise invalid(pointer, "headers_max", max=MAX_HEADERS)
    for name, value in headers.items():
        if not HEADER_NAME.match(name) or name.lower() in OWN_HEADERS or name.lower().startswith("webhook-"):
            raise invalid(f"{pointer}/{name}", "header_forbidden")
        if len(value) > MAX_HEADER_VALUE or not value.isascii() or not value.isprintable():
            raise invalid(f"{pointer}/{name}", "header_value", max=MAX_HEADER_VALUE)
    return Secret(json.dumps(headers)) if headers else ""


def checked_secret(secret: str, pointer: str = "/secret") -> Secret:
    try:
        signing.key_of(secret)
    except signing.BadSecret as error:
        raise invalid(pointer, error.message) from error
    return Secret(secret)


def server_of(url: str) -> str:
    """Return scheme, host and port of a URL: what may be shown of one whose path is a secret. "" for a bad one."""
    try:
        scheme, host, port = http_client.parse_url(url)
    except http_client.BadUrl:
        return ""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"[:MAX_SERVER]
