"""Images of the configured registry, for requests: refusals are Problems."""

from access.problems import Problem, invalid, refused

from .. import registry
from . import reference as references
from . import registry_client
from .errors import ImageMissing, ImageUnusable, RegistryAway, RegistryFailed
from .manifests import Resolved
from .reference import BadReference, Reference

RETRY_AFTER = "5"  # seconds


def resolve(given: str, pointer: str = "/image", *, with_platform: bool = False) -> Resolved:
    """Return what a reference means now, at the configured registry. Waits for it: call outside a transaction.

    Only that registry is asked: hosts pull from there, and nobody makes this server connect elsewhere. Raise a Problem:
    409 `not_configured` or `registry_refused`, 503 `registry_unreachable`, 422 at `pointer` for what is wrong with the
    reference, with the registry's words where it has no such image.
    """
    part, proxies = registry.configured_together("registry", "proxies")
    if part is None:
        raise registry.not_configured("registry")
    reference = parse(given, pointer)
    if not references.is_at(reference, part["url"], part["hosts"]):
        names = references.names_of(part["url"], part["hosts"])
        raise invalid(pointer, "image_elsewhere", host=reference.host, names=names)
    try:
        return registry_client.resolve(part, proxies, reference, with_platform=with_platform)
    except RegistryFailed as error:
        raise problem(error, reference, pointer) from error


def parse(given: str, pointer: str = "/image") -> Reference:
    """Return the reference that a text is. Raise 422 at `pointer`."""
    try:
        return references.parse(given)
    except BadReference as error:
        raise invalid(pointer, error.message) from error


def problem(error: RegistryFailed, reference: Reference, pointer: str = "/image") -> Problem:
    """Return the refusal that an error of the registry is."""
    if isinstance(error, ImageMissing):
        code = "image_missing.words" if error.words else "image_missing"
        return invalid(pointer, code, image=str(reference), status=error.status, words=error.words)
    if isinstance(error, ImageUnusable):
        return invalid(pointer, error.message)
    page = registry.page_of("registry")
    if isinstance(error, RegistryAway):  # what passes: a pipeline tries again
        return refused("registry_unreachable", headers={"Retry-After": RETRY_AFTER}, page=page, reason=error.message)
    return refused("registry_refused", page=page, reason=error.message)
