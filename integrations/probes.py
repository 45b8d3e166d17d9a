"""Tries every part of a document for real: logs in, lists, writes and deletes a probe file. Answers within 10 s."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from http import HTTPStatus
from typing import Any

from django.core.files.base import ContentFile

from access.secrets import Secret

from . import storage
from .http_client import Unreachable, basic, fetch
from .registry import wrapped

DEADLINE = 8.5  # seconds for all parts together, side by side
Found = tuple[str, str]  # what was tried, and what came of it


class Failed(Exception):
    """A step of a probe that did not do what it should: (what, why)."""


def test(document: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """[{"part", "ok", "seconds", "steps": [{"what", "ok", "detail"}]}], one for each part that is set.

    A part that does not answer in time is a finding like any other.
    """
    begun = time.monotonic()
    proxies = wrapped("proxies", document["proxies"]) if "proxies" in document else None
    hands = ThreadPoolExecutor(max(1, len(document)), thread_name_prefix="probe")
    steps: dict[str, list[dict]] = {name: [] for name in document}
    running = {
        name: hands.submit(_try, PROBES[name], wrapped(name, fields), proxies, steps[name])
        for name, fields in document.items()
    }
    wait(running.values(), DEADLINE)
    hands.shutdown(wait=False, cancel_futures=True)
    findings = []
    for name, future in running.items():
        done = list(steps[name])
        if not future.done():
            done.append({"what": "answer", "ok": False, "detail": f"no answer within {DEADLINE:.0f} s"})
        ok = bool(done) and all(step["ok"] for step in done)
        findings.append({"part": name, "ok": ok, "seconds": round(time.monotonic() - begun, 2), "steps": done})
    return findings


def _try(probe: Callable, part: dict, proxies: dict | None, steps: list[dict]) -> None:
    try:
        for what, detail in probe(part, proxies):
            steps.append({"what": what, "ok": True, "detail": _clean(detail, part)})
    except Failed as error:
        steps.append({"what": error.args[0], "ok": False, "detail": _clean(error.args[1], part)})
    except Unreachable as error:
        steps.append({"what": "connect", "ok": False, "detail": _clean(str(error), part)})
    except Exception as error:  # noqa: BLE001 - a library's own errors, of whatever kind: each is a finding
        steps.append({"what": "use", "ok": False, "detail": _clean(f"{type(error).__name__}: {error}", part)})


def _clean(text: str, part: dict) -> str:
    """What a server or a library says is shown to people: never with a secret in it."""
    for value in part.values():
        if isinstance(value, Secret) and len(value) > 3:
            text = text.replace(value.reveal(), "[secret]")
    return text[:400]


def _package_store(part: dict, proxies: dict | None) -> Iterator[Found]:
    """Through the same storage that packages go through."""
    store = storage.build(part, proxies)
    if part["kind"] == "local":
        yield "folder", storage.check_folder(part["folder"])
    folders, files = store.listdir("")
    yield "list", f"{len(folders) + len(files)} entries"
    name, content = f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex.encode()
    saved = store.save(name, ContentFile(content))
    try:
        yield "write", f"{len(content)} bytes"
        with store.open(saved) as file:
            if file.read() != content:
                raise Failed("read", "what was read is not what was written")
        yield "read", "the same bytes"
    finally:
        store.delete(saved)
    if store.exists(saved):
        raise Failed("delete", "the probe file is still there")
    yield "delete", "gone again"


def _gitlab(part: dict, proxies: dict | None) -> Iterator[Found]:
    token = {"PRIVATE-TOKEN": part["token"].reveal() if part["token"] else ""}
    user = _json("log in", fetch(part, "/api/v4/user", headers=token, proxies=proxies), dict)
    yield "log in", f"as {str(user.get('username', 'somebody'))[:100]}"
    _json("list", fetch(part, "/api/v4/projects?membership=true&per_page=1", headers=token, proxies=proxies), list)
    yield "list", "projects can be listed"


def _jenkins(part: dict, proxies: dict | None) -> Iterator[Found]:
    head = basic(part["user"], part["token"]) if part["user"] else {}
    user = _json("log in", fetch(part, "/me/api/json", headers=head, proxies=proxies), dict) if head else {}
    yield "log in", f"as {str(user.get('fullName') or user.get('id') or 'nobody')[:100]}"
    jobs = _json("list", fetch(part, "/api/json?tree=jobs[name]", headers=head, proxies=proxies), dict)
    yield "list", f"{len(jobs.get('jobs') or [])} jobs"


def _registry(part: dict, proxies: dict | None) -> Iterator[Found]:
    head = basic(part["user"], part["password"]) if part["user"] else {}
    reply = fetch(part, "/v2/", headers=head, proxies=proxies)
    if reply.status != HTTPStatus.OK:
        raise Failed("log in", _refusal(reply.status))
    yield "log in", f"as {part['user']}" if head else "as nobody"
    _json("list", fetch(part, "/v2/_catalog?n=1", headers=head, proxies=proxies), dict)
    yield "list", "repositories can be listed"


def _proxies(part: dict, _: dict | None) -> Iterator[Found]:
    """A proxy has nothing to log in to: it has to take a connection, and to answer in HTTP."""
    for scheme in ("http", "https"):
        if part[scheme]:
            plain = {"url": part[scheme], "ca": "", "client_cert": "", "client_key": "", "verify": False}
            reply = fetch(plain, "/")
            yield f"{scheme} proxy", f"answers ({reply.status})"
    if not part["http"] and not part["https"]:
        yield "proxies", "none: everything is spoken to directly"


def _json(what: str, reply: Any, kind: type) -> Any:
    if reply.status != HTTPStatus.OK:
        raise Failed(what, _refusal(reply.status))
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise Failed(what, "the answer is not what this kind of server gives; is the address right?")
    return found


def _refusal(status: int) -> str:
    words = {
        401: "the user, token or password is wrong",
        403: "this user or token may not do that",
        404: "there is nothing at this address",
    }
    if 300 <= status < 400:
        return f"it answers with a redirect ({status}), which is not followed: give the address that it leads to"
    return words.get(status, f"it answers {status}")


PROBES: dict[str, Callable[[dict, dict | None], Iterator[Found]]] = {
    "package_store": _package_store,
    "gitlab": _gitlab,
    "jenkins": _jenkins,
    "registry": _registry,
    "proxies": _proxies,
}
