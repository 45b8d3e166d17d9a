"""Test the settings of the registry by its own protocol: sign in, then ask whether images may be pulled and pushed.

The list of all images is never asked for: in most registries it is for administrators only.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from messages import Message

from ..http_client import Reply
from .errors import RegistryFailed, SignInFailed
from .registry_client import RegistryClient

NAME = "deployer-probe"  # of a repository below the project; nothing is ever pushed there
SECONDS = 8.0
_MAY_NOT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def steps(part: dict[str, Any], proxies: dict[str, Any] | None, must_push: bool) -> Iterator[tuple[str, Message]]:
    """Yield (step, what was found). Raise RegistryFailed. `must_push`: not being allowed to push is a failure."""
    client = RegistryClient(part, proxies, SECONDS)
    is_account = client.sign_in()
    user = part["user"]
    yield "log in", Message("probe.signed_in", {"user": user[:100]}) if is_account else Message("probe.anonymous")
    place = "/".join(filter(None, (part["project"], NAME)))
    shown = part["project"] or urlsplit(part["url"]).netloc
    yield "pull", _pull(client, place, shown, part["project"])
    yield "push", _push(client, place, shown, must_push)


def _pull(client: RegistryClient, place: str, shown: str, project: str) -> Message:
    """Ask for an image that need not be there: whoever may not pull is told so instead."""
    reason = _denied(client, place)
    if reason and "/" in project and not _denied(client, project):
        reason = None  # some registries give rights for single repositories, and the project is one
    if reason:
        raise RegistryFailed(Message("probe.registry_no_pull", {"place": shown, "reason": reason}), "pull")
    return Message("probe.registry_pull", {"place": shown})


def _denied(client: RegistryClient, place: str) -> Message | None:
    """Return why nothing may be pulled from a repository; None where it may."""
    try:
        reply = client.ask("GET", f"/v2/{place}/manifests/none", f"repository:{place}:pull")
    except SignInFailed as error:
        return error.message
    if reply.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        return None
    return client.refusal(reply, "pull").message


def _push(client: RegistryClient, place: str, shown: str, must_push: bool) -> Message:
    """Begin an upload, which shows that images may be pushed, and take it back."""
    scope = f"repository:{place}:pull,push"
    try:
        kind = {"Content-Type": "application/octet-stream"}
        reply = client.ask("POST", f"/v2/{place}/blobs/uploads/", scope, headers=kind, body=b"")
    except SignInFailed as error:  # a token server may refuse what it would refuse to push
        reason = error.message
    else:
        if reply.status == HTTPStatus.ACCEPTED:
            _take_back(client, reply, f"{scope},delete")
            return Message("probe.registry_push", {"place": shown})
        refusal = client.refusal(reply, "push")
        if reply.status not in _MAY_NOT:
            raise refusal
        reason = refusal.message
    code = "probe.registry_no_push" if must_push else "probe.registry_only_pull"
    message = Message(code, {"place": shown, "reason": reason})
    if must_push:
        raise RegistryFailed(message, "push")
    return message


def _take_back(client: RegistryClient, reply: Reply, scope: str) -> None:
    """Delete an upload. Registries forget those that are left, so a refusal is no finding."""
    upload = urlsplit(reply.headers.get("location", ""))
    base = urlsplit(client.server).path.rstrip("/")
    path = upload.path.removeprefix(base)
    if not path.startswith("/v2/") or not (path + upload.query).isascii():
        return
    try:  # at the same server, whatever host the answer names
        client.ask("DELETE", path + (f"?{upload.query}" if upload.query else ""), scope)
    except RegistryFailed:
        return
