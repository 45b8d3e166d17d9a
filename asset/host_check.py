"""The host check, and trusting a host key that a person has compared.

Both wait at most 10 s for the host; a check waits up to a minute for a host whose login shell is known to be slow.
paramiko is imported with the first check: a web process without one saves the time and the memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problem_codes import CODES
from access.problems import FieldError, Problem, invalid, refused
from audit import events, history
from deployer.engine import deadlines
from deployer.engine.codes import sentence
from deployer.engine.errors import WireError
from messages import Message, json_params
from messages.invalid import InvalidValue
from messages.rendering import hint, render
from runtime.db_connections import release_connection

from . import host_keys, host_marks, pasted_keys, reachability
from .archiving import refuse_archived
from .endpoints import endpoint_of, jump_of
from .models import Asset

if TYPE_CHECKING:
    from deployer.engine.probe import Finding

TIMEOUT = 9.0  # seconds for everything; an answer is promised within 10
PROBE_TIMEOUT = 8.0
HANDSHAKE_TIMEOUT = 4.0  # to connect, and again to exchange keys
MAX_USERS = 20  # tried in one check


def check(host: Asset, caller: Caller) -> dict[str, Any]:
    """Connect as a worker would, record the result, and return it as `shown` does. The pinned key stays.

    A host that cannot be reached is a finding, not an error.
    """
    from deployer.engine.probe import Finding, probe

    refuse_archived(host)
    timeout = TIMEOUT
    try:
        endpoint = endpoint_of(host)
        users = _users(host)
        release_connection()
        timeout += deadlines.for_check(endpoint.where)
        mark, end = host_marks.mark_of(host), time.monotonic() + timeout

        def look(instead_of: str = "") -> Finding:
            left = end - time.monotonic()  # a second probe, to take over a folder, has what the first one left
            return _within(
                left,
                lambda: probe(
                    endpoint, host.base_path, host.sudo, min(PROBE_TIMEOUT, max(left, 1.0)), users, mark, instead_of
                ),
            )

        finding = look()
        _judge_mark(host, finding, caller, look)
    except TimeoutError:
        finding = Finding(reachable=False)
        _blame(finding, Message("host_timeout", {"seconds": round(timeout)}))
    except Problem as problem:
        finding = Finding(reachable=False)
        _blame(finding, problem.message)
    _record(host, finding)
    return shown(host, finding)


def _judge_mark(host: Asset, finding: Finding, caller: Caller, take_over: Callable[[str], Any]) -> None:
    """Compare the folder's mark: another host's is an error; that of a host which is gone is replaced."""
    if not finding.mark or host_marks.same(finding.mark, host_marks.mark_of(host)):
        return
    owner = host_marks.owner(finding.mark)
    if owner is not None:
        _blame(finding, Message("same_machine", {"host": host_marks.shown_name(owner, caller)}))
        return
    former = host_marks.name_in(finding.mark)
    try:
        taken = take_over(finding.mark).mark
    except TimeoutError:
        taken = ""
    if host_marks.same(taken, host_marks.mark_of(host)):
        finding.warnings.append(Message("mark_replaced", {"host": former}))
    else:
        path = f"{host.base_path}/.deployer-host"
        _blame(finding, Message("mark_not_replaced", {"host": former, "path": path, "user": host.username}))


def _blame(finding: Finding, error: Message) -> None:
    finding.error, finding.ready = error, False


def _users(host: Asset) -> list[str]:
    """Return the users that services on the host run as, where they have their own."""
    users = host.instances.exclude(microservice__run_as="").order_by("microservice__run_as")
    return list(users.values_list("microservice__run_as", flat=True).distinct()[:MAX_USERS])


def shown(host: Asset, finding: Finding) -> dict[str, Any]:
    """Return the finding as JSON values, with the host's name; sentences are in the active language."""
    return finding.facts() | {
        "error": render(sentence(finding.error)) if finding.error else "",
        "next_step": hint(finding.error) if finding.error else "",
        "error_code": finding.error.code if finding.error else "",
        "error_params": json_params(finding.error.params) if finding.error else {},
        "warnings": [render(warning) for warning in finding.warnings],
        "warning_codes": [warning.as_json() for warning in finding.warnings],
        "host_id": host.pk,
        "hostname": host.hostname,
        "checked": timezone.now(),
        "pinned_fingerprint": host_keys.shown_fingerprint(host.host_key),
        "offered_fingerprint": host_keys.shown_fingerprint(finding.offered_key),
        "key_changed": bool(host.host_key and finding.offered_key and finding.offered_key != host.host_key),
    }


def trust(host: Asset, fingerprint: str, caller: Caller) -> Asset:
    """Pin the key that the host offers now, if its fingerprint is the one named; else 409 with both.

    `fingerprint`: SHA256:…, the output of ssh-keygen -lf, a key or lines of known_hosts; one of them has to be the
    host's. The result of the last contact is reset: no worker has logged in with the new key yet.
    """
    if not fingerprint.strip():
        raise invalid("/fingerprint", "fingerprint_required")
    refuse_archived(host)
    before = host.host_key
    named = _named(host, fingerprint)
    offered = _offered(host, named)
    offered_fingerprint = host_keys.fingerprint(offered)
    if not any(host_keys.same_fingerprint(fingerprint, offered_fingerprint) for fingerprint in named.fingerprints):
        named_text = ", ".join(named.fingerprints)[:100]
        more = {"named": named_text, "offered": offered_fingerprint}
        error = FieldError("/fingerprint", "fingerprint_not_offered", more)
        raise refused("fingerprint_differs", [error], host=host.hostname, named=named_text, offered=offered_fingerprint)
    with transaction.atomic():
        now = timezone.now()
        pinned = Asset.objects.filter(pk=host.pk, host_key=before, ip=host.ip, port=host.port).update(
            host_key=offered, offered_key="", updated=now, updated_by=caller.name, **reachability.UNKNOWN
        )
        if not pinned:  # the row has changed since: the host that answered may be another one
            raise refused("concurrent_update.host")
        history.record(
            caller,
            "trust",
            "host",
            host,
            before={"fingerprint": host_keys.shown_fingerprint(before)},
            after={"fingerprint": offered_fingerprint},
        )
        events.write([events.of_host(host.pk, None)])
    host.refresh_from_db()
    return host


def _named(host: Asset, text: str) -> pasted_keys.Pasted:
    try:
        return pasted_keys.read(text, (host.hostname, host.ip))
    except InvalidValue as error:
        if len(text.split()) > 1:
            raise invalid("/fingerprint", error.reason) from None
        return pasted_keys.Pasted("", (text.strip(),))  # compared, and shown beside the host's own


def _offered(host: Asset, named: pasted_keys.Pasted) -> str:
    """Return a named key where the host offers it, else the key that the host offers first."""
    from deployer.engine import ssh

    jump = jump_of(host)
    release_connection()
    kinds = named.kinds or tuple(pasted_keys.ALGORITHMS)

    def fetch(algorithms: tuple[str, ...]) -> str:
        return ssh.fetch_host_key(host.ip, host.port, HANDSHAKE_TIMEOUT, jump, host.legacy_algorithms, algorithms)

    def ask() -> str:
        first = ""
        for algorithms in ((), *(pasted_keys.ALGORITHMS[kind] for kind in kinds)):
            try:
                offered = ssh.fetch_host_key(
                    host.ip, host.port, HANDSHAKE_TIMEOUT, jump, host.legacy_algorithms, algorithms
                )
            except WireError:
                if not first:
                    raise
                continue  # the host has no key of that type
            first = first or offered
            if any(host_keys.same_fingerprint(one, host_keys.shown_fingerprint(offered)) for one in named.fingerprints):
                return offered
        return first

    try:
        return host_keys.parse(_within(TIMEOUT, ask))
    except WireError as error:
        raise _unreachable(host, error.message, error.reached is False) from error
    except TimeoutError as error:
        raise _unreachable(host, Message("host_timeout", {"seconds": round(TIMEOUT)}), True) from error
    except InvalidValue as error:
        raise refused("host_key_unusable", reason=error.reason) from error


def _unreachable(host: Asset, error: Message, is_silent: bool) -> Problem:
    """Return 409 `host_unreachable` that says what the error says; record it for a host that did not answer at all."""
    if is_silent:
        reachability.note(Asset.objects.filter(pk=host.pk), False, error)
    problem = Problem(CODES["host_unreachable"].status, error)
    problem.code = "host_unreachable"
    return problem


def _record(host: Asset, finding: Finding) -> None:
    offered = finding.offered_key
    key = {"offered_key": "" if offered == host.host_key else offered} if offered else {}
    with transaction.atomic():
        reachability.note(Asset.objects.filter(pk=host.pk), finding.reachable, finding.error or "", **key)
        if finding.reachable != host.reachable or key.get("offered_key", host.offered_key) != host.offered_key:
            events.write([events.of_host(host.pk, finding.reachable)])


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return the call's result, or raise TimeoutError. A late call goes on in its thread until the engine ends it."""
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            answer.append((None, error))

    thread = threading.Thread(target=run, name="contact", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError
    result, error = answer[0]
    if error is not None:
        raise error
    return result
