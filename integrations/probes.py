"""Test every integration of a document for real: sign in, list, write and delete a probe file. Ends within 10 s."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from http import HTTPStatus
from typing import Any

from django.core.files.base import ContentFile

from access.secrets import Secret
from messages import Message
from messages.rendering import english, render, term

from . import storage
from .docker import probe as engine_probe
from .docker.errors import EngineFailed
from .http_client import Reply, Unreachable, basic, fetch, tls
from .images import probe as registry_probe
from .images.errors import RegistryFailed
from .registry import Document, Fields, wrapped

TIMEOUT = 8.5  # seconds for all integrations together, side by side
MAX_TEXT = 400  # characters of what a server or a library says
MIN_SECRET = 4  # characters: a shorter secret would be found in ordinary words
Passed = tuple[str, Message]  # a step, and what it found
Probe = Callable[[Fields, Fields | None], Iterator[Passed]]

_BY_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "probe.credentials_wrong",
    HTTPStatus.FORBIDDEN: "probe.forbidden",
    HTTPStatus.NOT_FOUND: "probe.not_found",
}


class StepFailed(Exception):
    """A step of a probe that did not do what it should."""

    def __init__(self, step: str, message: Message):
        super().__init__(step)
        self.step, self.message = step, message


def test(document: Document) -> list[dict[str, Any]]:
    """Return [{"part", "ok", "seconds", "steps"}], one for each integration of the document.

    A step is {"what", "ok", "detail", "code", "params"}: a message, with its text in English as `detail`. An
    integration that does not answer in time has a failed step that says so.
    """
    begun = time.monotonic()
    proxies = wrapped("proxies", document["proxies"]) if "proxies" in document else None
    pool = ThreadPoolExecutor(max(1, len(document)), thread_name_prefix="probe")
    steps: dict[str, list[dict[str, Any]]] = {name: [] for name in document}
    probes: dict[str, Probe] = {
        **PROBES,
        "docker": partial(_docker, document),
        "registry": partial(registry_probe.steps, must_push="docker" in document),
    }
    running = {
        name: pool.submit(_run, probes[name], wrapped(name, fields), proxies, steps[name])
        for name, fields in document.items()
    }
    wait(running.values(), TIMEOUT)
    pool.shutdown(wait=False, cancel_futures=True)
    findings = []
    for name, future in running.items():
        done = list(steps[name])
        if not future.done():
            done.append(_step("answer", False, Message("probe.timeout", {"seconds": round(TIMEOUT, 1)})))
        ok = bool(done) and all(step["ok"] for step in done)
        findings.append({"part": name, "ok": ok, "seconds": round(time.monotonic() - begun, 2), "steps": done})
    return findings


def rendered(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Render findings in the reader's language. Rows of older versions have only the English `detail`."""
    return [
        {
            **part,
            "steps": [
                {
                    **step,
                    "what": term(step["what"]),
                    "detail": render(Message.from_json(step)) if "code" in step else step["detail"],
                }
                for step in part["steps"]
            ],
        }
        for part in findings
    ]


def _run(probe: Probe, part: Fields, proxies: Fields | None, steps: list[dict[str, Any]]) -> None:
    try:
        for step, message in probe(part, proxies):
            steps.append(_step(step, True, _redacted(message, part)))
    except StepFailed as error:
        steps.append(_step(error.step, False, _redacted(error.message, part)))
    except Unreachable as error:
        steps.append(_step("connect", False, _redacted(error.message, part)))
    except (EngineFailed, RegistryFailed) as error:
        steps.append(_step(error.step, False, _redacted(error.message, part)))
    except storage.FolderMissing as error:
        steps.append(_step("use", False, error.message))
    except Exception as error:  # noqa: BLE001 - a library's own errors, of whatever kind: each is a finding
        message = Message("probe.error", {"kind": type(error).__name__, "reason": str(error)})
        steps.append(_step("use", False, _redacted(message, part)))


def _step(step: str, ok: bool, message: Message) -> dict[str, Any]:
    return {"what": step, "ok": ok, "detail": english(message), **message.as_json()}


def _redacted(message: Message, part: Fields) -> Message:
    """Return the message without the integration's secrets: servers and libraries may repeat them."""
    return Message(message.code, {name: _redacted_value(value, part) for name, value in message.params.items()})


def _redacted_value(value: Any, part: Mapping[str, Any]) -> Any:
    if isinstance(value, Message):
        return _redacted(value, dict(part))
    if not isinstance(value, str):
        return value
    for secret in part.values():
        if isinstance(secret, Secret) and len(secret) >= MIN_SECRET:
            value = value.replace(secret.reveal(), "[secret]")
    return value[:MAX_TEXT]


def _package_store(part: Fields, proxies: Fields | None) -> Iterator[Passed]:
    """Test the store through the same storage that packages go through."""
    store = storage.build(part, proxies)
    if part["kind"] == "local":
        yield "folder", Message("probe.free_space", {"mib": storage.free_mib(part["folder"])})
    folders, files = store.listdir("")
    yield "list", Message("probe.entries", {"count": len(folders) + len(files)})
    name, content = f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex.encode()
    saved = store.save(name, ContentFile(content))
    try:
        yield "write", Message("probe.written", {"count": len(content)})
        with store.open(saved) as file:
            if file.read() != content:
                raise StepFailed("read", Message("probe.content_differs"))
        yield "read", Message("probe.content_equal")
    finally:
        store.delete(saved)
    if store.exists(saved):
        raise StepFailed("delete", Message("probe.not_deleted"))
    yield "delete", Message("probe.deleted")


def _gitlab(part: Fields, proxies: Fields | None) -> Iterator[Passed]:
    token = {"PRIVATE-TOKEN": part["token"].reveal() if part["token"] else ""}
    user = _json("log in", fetch(part, "/api/v4/user", headers=token, proxies=proxies), dict)
    yield "log in", _signed_in(user.get("username"))
    _json("list", fetch(part, "/api/v4/projects?membership=true&per_page=1", headers=token, proxies=proxies), list)
    yield "list", Message("probe.listable")


def _jenkins(part: Fields, proxies: Fields | None) -> Iterator[Passed]:
    login = basic(part["user"], part["token"]) if part["user"] else {}
    user = _json("log in", fetch(part, "/me/api/json", headers=login, proxies=proxies), dict) if login else {}
    yield "log in", _signed_in(user.get("fullName") or user.get("id"))
    jobs = _json("list", fetch(part, "/api/json?tree=jobs[name]", headers=login, proxies=proxies), dict)
    yield "list", Message("probe.jobs", {"count": len(jobs.get("jobs") or [])})


def _docker(document: Document, part: Fields, _: Fields | None) -> Iterator[Passed]:
    """Test the engine. It is reached without a proxy, and signs in at the registry of the same document."""
    registry = wrapped("registry", document["registry"]) if "registry" in document else None
    return engine_probe.steps(part, registry)


def _proxies(part: Fields, _: Fields | None) -> Iterator[Passed]:
    """Test the proxies. A proxy has no sign-in to test: it has to accept a connection and to answer in HTTP."""
    for scheme in ("http", "https"):
        if part[scheme]:
            server = {"url": part[scheme], "ca": "", "client_cert": "", "client_key": "", "verify": False}
            yield f"{scheme} proxy", Message("probe.proxy_answers", {"status": fetch(server, "/").status})
    if not part["http"] and not part["https"]:
        yield "proxies", Message("probe.direct")


def _callbacks(part: Fields, proxies: Fields | None) -> Iterator[Passed]:
    """Test what does not depend on a receiver. Each callback has a test of its own."""
    yield "allowed", Message("probe.receivers", {"count": len(part["allowed"])})
    tls(part)
    yield "certificates", Message("probe.certificates")
    if part["use_proxy"]:
        if proxies is None or not (proxies["http"] or proxies["https"]):
            raise StepFailed("proxies", Message("probe.no_proxy"))
        yield from _proxies(proxies, None)


def _json(step: str, reply: Reply, kind: type) -> Any:
    if reply.status != HTTPStatus.OK:
        raise StepFailed(step, _refusal(reply.status))
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, kind):
        raise StepFailed(step, Message("probe.answer_unexpected"))
    return answer


def _signed_in(user: object) -> Message:
    return Message("probe.signed_in", {"user": str(user)[:100]}) if user else Message("probe.anonymous")


def _refusal(status: int) -> Message:
    if 300 <= status < 400:
        return Message("probe.redirect", {"status": status})
    return Message(_BY_STATUS[status]) if status in _BY_STATUS else Message("probe.status", {"status": status})


PROBES: dict[str, Probe] = {
    "package_store": _package_store,
    "gitlab": _gitlab,
    "jenkins": _jenkins,
    "proxies": _proxies,
    "callbacks": _callbacks,
}
