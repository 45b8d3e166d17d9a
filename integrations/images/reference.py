"""References of images: read, written, compared, and made of our own names. Pure.

    [host[:port]/]name[:tag][@digest]

As Docker reads them: what stands before the first "/" is a host if it has a "." or a ":", or is localhost. Without one
the image is Docker Hub's (docker.io), where a name of one part lies in library/. Without tag and digest it is :latest.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from messages import Message

MAX_REFERENCE = 512  # characters, as rows keep it
MAX_NAME = 255  # characters of host and name together: Docker's limit
MAX_TAG = 128
HUB, HUB_SERVER = "docker.io", "registry-1.docker.io"  # what references say, and who answers
_HUB_NAMES = frozenset({HUB, HUB_SERVER, "index.docker.io", "registry.hub.docker.com"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]{{2,45}}\])(?::[0-9]{{1,5}})?\Z")
_PART = re.compile(r"[a-z0-9._-]+\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_HASH_LENGTH = 8


class BadReference(ValueError):
    """A text that names no image. `message` stands at a field."""

    def __init__(self, code: str, **params: object):
        self.message = Message(code, params)
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image at a registry: `tag`, `digest` or both are set."""

    host: str  # in lower case, with its port
    name: str
    tag: str = ""
    digest: str = ""  # sha256:…

    def __str__(self) -> str:
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.host}/{self.name}{tag}{digest}"

    @property
    def pinned(self) -> str:
        """host/name@digest: what runs."""
        return f"{self.host}/{self.name}@{self.digest}"

    @property
    def tagged(self) -> str:
        """host/name:tag; "" where no tag was given."""
        return f"{self.host}/{self.name}:{self.tag}" if self.tag else ""

    def with_digest(self, digest: str) -> "Reference":
        return Reference(self.host, self.name, self.tag, digest)


def parse(text: str) -> Reference:
    """Return what a text names. Raise BadReference."""
    if len(text) > MAX_REFERENCE:
        raise BadReference("too_long", max=MAX_REFERENCE)
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.match(digest):
        raise BadReference("image_digest")
    rest, tag = _without_tag(rest)
    if tag is not None and not _TAG.match(tag):
        raise BadReference("image_tag", max=MAX_TAG)
    host, name = _host_and_name(rest)
    if not is_host(host) or not name:
        raise BadReference("image_reference")
    if len(host) + len(name) >= MAX_NAME:
        raise BadReference("too_long", max=MAX_NAME)
    if not is_name(name):
        raise BadReference("image_name" if name == name.lower() else "image_name_lower_case")
    return Reference(host, name, tag or ("" if digest else "latest"), digest)


def is_host(text: str) -> bool:
    """Return whether a text is a host name or address, with a port or without one."""
    port = text.rpartition(":")[2] if ":" in text.rpartition("]")[2] else "1"
    return len(text) <= MAX_NAME and bool(_HOST.match(text)) and 0 < int(port) < 65536


def is_name(text: str) -> bool:
    """Return whether a text can name a repository or the first parts of its name: lower case, parts between "/"."""
    return len(text) < MAX_NAME and all(map(_is_part, text.split("/")))


def _is_part(text: str) -> bool:
    """Return whether this is a part of a repository's name: letters and digits, with . _ __ or dashes between them."""
    if not _PART.match(text) or not (text[0].isalnum() and text[-1].isalnum()):
        return False
    return all(between in (".", "_", "__") or not between.strip("-") for between in re.split(r"[a-z0-9]+", text))


def _without_tag(text: str) -> tuple[str, str | None]:
    """Return what stands before a tag, and the tag; a port has a "/" behind it."""
    before, colon, after = text.rpartition(":")
    return (before, after) if colon and "/" not in after else (text, None)


def _host_and_name(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or not (set(first) & {".", ":"} or first == "localhost"):
        first, rest = HUB, text
    host = first.lower()
    if host in _HUB_NAMES:
        return HUB, rest if "/" in rest else f"library/{rest}"
    return host, rest


def host_of(url: str) -> str:
    """Return what a reference calls the registry at this address."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return HUB if host in _HUB_NAMES else host


def server_of(url: str) -> str:
    """Return the address that answers for a registry: Docker Hub's is another than its name."""
    return f"https://{HUB_SERVER}" if host_of(url) == HUB else url.rstrip("/")


def names_of(url: str, hosts: Iterable[str]) -> list[str]:
    """Return every host name that means the registry, its own first."""
    return list(dict.fromkeys([host_of(url), *(host_of(f"{urlsplit(url).scheme}://{host}") for host in hosts)]))


def is_at(reference: Reference, url: str, hosts: Iterable[str]) -> bool:
    """Return whether a reference names the registry of this address, by one of its names."""
    return host_of(f"{urlsplit(url).scheme}://{reference.host}") in names_of(url, hosts)


def repository(project: str, service: str) -> str:
    """Return the repository of a service's images, below the project.

    Repositories are in lower case, with single separators between letters and digits. A name that had to be changed
    ends with 8 characters of its hash: Shop and shop never share a repository.
    """
    own = service
    if not _is_part(service):
        changed = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")
        own = f"{changed or 'service'}-{_hash(service)}"
    return "/".join(filter(None, (project.strip("/"), own)))


def tag(version: str) -> str:
    """Return the tag of a version: "+" is not allowed in one, and becomes "_".

    A name that had to be changed ends with 8 characters of its hash: 1.0+a and 1.0_a never share a tag.
    """
    changed = re.sub(r"[^A-Za-z0-9_.-]", "_", version)
    if changed == version and _TAG.match(version):
        return version
    return f"{changed[: MAX_TAG - _HASH_LENGTH - 1].lstrip('.-') or 'version'}-{_hash(version)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
