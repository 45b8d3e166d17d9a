"""The sign-in at the registry of the image that an operation pulls. It is read when the operation is claimed, so it is
the current one, and nothing keeps it: neither the deployment nor the host."""

import base64
import json
from collections.abc import Iterable

from access.secrets import Secret, Undecryptable
from integrations import registry
from integrations.images.credentials import credentials_of
from microservice.models import Operation
from microservice.status import Action


def sign_ins_of(operations: Iterable[Operation]) -> dict[int, Secret | Undecryptable]:
    """Return by operation the text of an engine's config.json, or why it cannot be read. One query, and none where no
    image is pulled. An image of another registry, or of one that needs no sign-in, has none."""
    pulling = [each for each in operations if image_of(each)]
    if not pulling:
        return {}
    try:
        part = registry.configured("registry")
    except Undecryptable as error:  # it must not keep the others from being claimed
        return {each.pk: error for each in pulling}
    if part is None:
        return {}
    found = {each.pk: credentials_of(part, image_of(each)) for each in pulling}
    return {number: each.docker_config for number, each in found.items() if each is not None}


def image_of(operation: Operation) -> str:
    """Return the image that the operation pulls where the host has not got it; "" for none."""
    version = operation.dest_version
    pulls = version is not None and not operation.adopt and operation.action != Action.DELETE
    return version.image if pulls and version is not None else ""


def revealed(sign_in: Secret | Undecryptable | None) -> str:
    """Return the text itself, "" for none. Raise Undecryptable."""
    if isinstance(sign_in, Undecryptable):
        raise sign_in
    return sign_in.reveal() if sign_in is not None else ""


def secrets_in(text: str) -> list[str]:
    """Return what must be masked of such a text: each sign-in as it stands there, and its password. Pure."""
    logins = [each["auth"] for each in json.loads(text)["auths"].values()] if text else []
    return logins + [base64.b64decode(each).decode().partition(":")[2] for each in logins]
