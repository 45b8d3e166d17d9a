"""What an engine or a host needs to pull from, or push to, the configured registry: never for another one."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from access.secrets import Secret, reveal

from .. import registry
from . import reference as references
from .reference import Reference

HUB_KEY = "https://index.docker.io/v1/"  # what engines and docker's own file call Docker Hub


@dataclass(frozen=True, slots=True)
class Credentials:
    """For one reference. The headers are the engine's own; a build may need each name of the registry."""

    x_registry_auth: Secret  # of a pull, a push and distribution
    x_registry_config: Secret  # of a build
    docker_config: Secret  # the text of a config.json for `docker --config FOLDER`


def credentials_for(image: Reference | str) -> Credentials | None:
    """Return the credentials of the registry that holds an image. One query.

    None where it is not the configured registry by any of its names, or needs no sign-in: nothing may be sent then.
    Raise BadReference.
    """
    part = registry.configured("registry")
    return credentials_of(part, image) if part is not None else None


def credentials_of(part: dict[str, Any], image: Reference | str) -> Credentials | None:
    """Return `credentials_for` with these settings of the registry."""
    wanted = references.parse(image) if isinstance(image, str) else image
    if not part["user"] or not references.is_at(wanted, part["url"], part["hosts"]):
        return None
    user, password = part["user"], reveal(part["password"])
    names = [_key(name) for name in dict.fromkeys([wanted.host, *references.names_of(part["url"], part["hosts"])])]
    login = {"username": user, "password": password}
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Credentials(
        _header({**login, "serveraddress": names[0]}),
        _header({name: {**login, "serveraddress": name} for name in names}),
        Secret(json.dumps({"auths": {names[0]: {"auth": encoded}}})),
    )


def _key(host: str) -> str:
    return HUB_KEY if host == references.HUB else host


def _header(value: dict[str, Any]) -> Secret:
    return Secret(base64.urlsafe_b64encode(json.dumps(value).encode()).decode())
