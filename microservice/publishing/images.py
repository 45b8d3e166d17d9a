"""Versions that are images: the package names the image by its digest, which never moves.

A tag is resolved once, at the registry, before anything is written. From then on the version means that digest.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, BinaryIO

from access.callers import Caller
from integrations.images import lookup

from .. import catalog
from ..models import MicroService, MicroServiceVersion
from ..packages.images import package_of
from ..packages.store import PIECE, ReceivedPackage, receive
from . import assignment


def publish(
    caller: Caller, service: MicroService, fields: Mapping[str, Any], given: str
) -> tuple[MicroServiceVersion, bool]:
    """Create a version of catalog.VERSION_FIELDS from an image in the registry; return it and whether it is new.

    `given`: the reference of the image, by its tag or digest. Waits for the registry: call outside a transaction.
    Raise a Problem: what `lookup.resolve` does, and 409 where the version is something else already.
    """
    catalog.check_version(MicroServiceVersion(microservice=service, **fields))  # before the registry is asked
    image = lookup.resolve(given).reference
    return assignment.create(caller, service, fields, _receiver(image.pinned, image.tagged))


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
