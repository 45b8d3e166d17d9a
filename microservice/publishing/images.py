"""Versions that are images: the package names the image by its digest, which never moves."""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from access.callers import Caller

from ..models import MicroServiceVersion
from ..packages.images import package_of
from ..packages.store import PIECE, ReceivedPackage, receive
from . import assignment


def store(
    caller: Caller,
    version: MicroServiceVersion,
    image: str,
    tag: str,
    *,
    claim: Callable[[], object] | None = None,
) -> MicroServiceVersion:
    """Set a version to success with this image, which is in the registry: see `assignment.assign`.

    `image`: pinned, `registry/name@sha256:…`; `tag`: as it was pushed, `registry/name:1.2`.
    """
    return assignment.assign(caller, version, _receiver(image, tag), claim)


def _receiver(image: str, tag: str) -> assignment.Receiver:
    def receive_it(temporary: BinaryIO) -> ReceivedPackage:
        package = BytesIO(package_of(image))
        received = receive(lambda: package.read(PIECE), temporary)
        return ReceivedPackage(received.package, received.source_sha256, image, tag)

    return receive_it
