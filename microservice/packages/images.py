"""The package of an image: one file that names it. Pure. The same image gives the same bytes.

The file has one line, the pinned reference: `registry.example.com/shop/api@sha256:…`.
"""

from .headers import FILE
from .members import Member
from .writer import PackageWriter

NAME = "image"
_MODE = 0o644
_SHORT = 12  # of a digest's characters: as many as `docker images` shows


def package_of(image: str) -> bytes:
    """Return the package of a pinned reference."""
    data, pieces = f"{image}\n".encode(), list[bytes]()
    writer = PackageWriter(pieces.append)
    writer.add(Member(NAME, FILE, _MODE, 0, len(data)))
    writer.data(data)
    writer.end_of_data()
    writer.close()
    return b"".join(pieces)


def is_same(one: str, other: str) -> bool:
    """Return whether two pinned references mean the same image. A registry may have several host names."""
    return bool(one) and _without_host(one) == _without_host(other)


def digest_of(image: str) -> str:
    """Return the digest of a pinned reference, `sha256:…`; "" for ""."""
    return image.partition("@")[2]


def short_digest(image: str) -> str:
    """Return the beginning of a pinned reference's digest, for people."""
    return digest_of(image).partition(":")[2][:_SHORT]


def _without_host(image: str) -> str:
    return image.partition("/")[2]
