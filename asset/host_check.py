"""Asking a host what it is, and trusting the key that a person has compared. Both wait at most 10 s for the outside;
a check waits longer, a minute at most, for a host whose login shell is known to be slow.

What speaks SSH is loaded when a host is asked: a web process that asks none needs neither its time nor its memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import Problem, conflict, invalid
from audit import events, history
from deployer.engine import deadlines
from deployer.engine.errors import WireError
from runtime.db_connections import give_back

from . import host_keys, host_marks, pasted_keys, reachability
from .archiving import refuse_archived
from .endpoints import endpoint_of, jump_of
from .models import Asset

if TYPE_CHECKING:
    from deployer.engine.probe import Finding

LONGEST = 9.0  # seconds for everything; an answer is promised within 10
PROBE = 8.0
MOST_USERS = 20  # that are tried in one check
HANDSHAKE = 4.0  # to connect, and again to exchange keys


def check(host: Asset, caller: Caller) -> dict[str, Any]:
    """Connects as a worker would, and answers what was found or the reason; records it. The pinned key stays.

    A host that cannot be reached is a finding, not an error.
    """
    from deployer.engine.probe import Finding, probe

    refuse_archived(host)
    longest = LONGEST
    try:
        endpoint = endpoint_of(host)
        users = _users(host)
        give_back()
        longest += deadlines.for_check(endpoint.where)
        mark, end = host_marks.mark_of(host), time.monotonic() + longest

        def look(instead_of: str = "") -> Finding:
            left = end - time.monotonic()  # taking a folder over is a second look, in what the first one has left
            return _within(
                left,
                lambda: probe(endpoint, host.base_path, host.sudo, min(PROBE, max(left, 1.0)), users, mark, instead_of),
            )

        found = look()
        _judge_mark(host, found, caller, look)
    except TimeoutError:
        found = Finding(reachable=False, error=f"The host did not answer within {longest:.0f} s.")
    except Problem as problem:
        found = Finding(reachable=False, error=problem.detail, next_step=problem.hint)
    _remember(host, found)
    return shown(host, found)


def _judge_mark(host: Asset, found: Finding, caller: Caller, take_over: Callable[[str], Any]) -> None:
    """Whose the folder is: another host's is a hindrance that names it; what nobody owns any more is taken over."""
    if not found.mark or host_marks.same(found.mark, host_marks.mark_of(host)):
        return
    first = host_marks.owner(found.mark)
    if first is not None:
        found.error = f"This is the same machine and folder as {host_marks.told(first, caller)}."
        found.next_step = "Use that one, and delete or archive this one; or give this one another folder."
        found.ready = False
        return
    whose = f"The folder had the mark of {host_marks.name_in(found.mark)}, a host that is not here any more."
    try:
        taken = take_over(found.mark).mark
    except TimeoutError:
        taken = ""
    if host_marks.same(taken, host_marks.mark_of(host)):
        found.warnings.append(f"{whose} It is this one's from now on.")
    else:
        found.error = f"{whose} It could not be replaced, and every operation would be refused."
        found.next_step = f"Remove {host.base_path}/.deployer-host on the host, or give it to {host.username}."
        found.ready = False


def _users(host: Asset) -> list[str]:
    """Whom services on the host run as, where they have a user of their own there."""
    named = host.instances.exclude(microservice__run_as="").order_by("microservice__run_as")
    return list(named.values_list("microservice__run_as", flat=True).distinct()[:MOST_USERS])


def shown(host: Asset, found: Finding) -> dict[str, Any]:
    """A finding as it is answered: what the probe says, and both keys by their fingerprints."""
    return found.to_json() | {
        "host_id": host.pk,
        "hostname": host.hostname,
        "checked": timezone.now(),
        "pinned_fingerprint": host_keys.shown_fingerprint(host.host_key),
        "offered_fingerprint": host_keys.shown_fingerprint(found.offered_key),
        "key_changed": bool(host.host_key and found.offered_key and found.offered_key != host.host_key),
    }


def trust(host: Asset, fingerprint: str, caller: Caller) -> Asset:
    """Pins the key that the host offers now, if its fingerprint is the one named; else 409 with both.

    `fingerprint`: SHA256:…, or what ssh-keygen -lf prints, or a key or lines of known_hosts: one of them has to be the
    host's. What was known of the host before is forgotten with the old key: nobody has logged in with this one yet.
    """
    if not fingerprint.strip():
        raise invalid("/fingerprint", "is required: SHA256:… as `ssh-keygen -lf` prints it on the host")
    refuse_archived(host)
    before = host.host_key
    named = _named(host, fingerprint)
    offered = _offered(host, named)
    shows = host_keys.fingerprint(offered)
    if not any(host_keys.same_fingerprint(one, shows) for one in named.fingerprints):
        told = ", ".join(named.fingerprints)[:100]
        raise conflict(
            "fingerprint_differs",
            f"{host.hostname} offers the key {shows}, not the one that was named ({told}).",
            "Compare with the host's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
            [{"pointer": "/fingerprint", "reason": "is not the offered key's", "named": told, "offered": shows}],
        )
    with transaction.atomic():
        now = timezone.now()
        pinned = Asset.objects.filter(pk=host.pk, host_key=before, ip=host.ip, port=host.port).update(
            host_key=offered, offered_key="", updated=now, updated_by=caller.name, **reachability.UNKNOWN
        )
        if not pinned:  # we asked the host that this row was about; it is about another one now
            raise conflict("concurrent_update", "The host was changed while it was asked.", "Look again.")
        history.record(
            caller,
            "trust",
            "host",
            host,
            before={"fingerprint": host_keys.shown_fingerprint(before)},
            after={"fingerprint": shows},
        )
        events.write([events.of_host(host.pk, None)])
    host.refresh_from_db()
    return host


def _named(host: Asset, text: str) -> pasted_keys.Pasted:
    try:
        return pasted_keys.read(text, (host.hostname, host.ip))
    except ValueError as error:
        if len(text.split()) > 1:
            raise invalid("/fingerprint", str(error)) from None
        return pasted_keys.Pasted("", (text.strip(),))  # it is compared, and shown beside what the host offers


def _offered(host: Asset, named: pasted_keys.Pasted) -> str:
    """The key that the host offers: one that was named where it has that, else the one that it offers first."""
    from deployer.engine import ssh

    jump = jump_of(host)
    give_back()
    kinds = named.kinds or tuple(pasted_keys.ALGORITHMS)

    def ask() -> str:
        first = ""
        for algorithms in ((), *(pasted_keys.ALGORITHMS[kind] for kind in kinds)):
            try:
                offered = ssh.fetch_host_key(host.ip, host.port, HANDSHAKE, jump, host.legacy_algorithms, algorithms)
            except WireError:
                if not first:
                    raise
                continue  # it has no key of that kind
            first = first or offered
            if any(host_keys.same_fingerprint(one, host_keys.shown_fingerprint(offered)) for one in named.fingerprints):
                return offered
        return first

    try:
        return host_keys.parse(_within(LONGEST, ask))
    except WireError as error:
        if error.reached is False:
            reachability.note(Asset.objects.filter(pk=host.pk), False, str(error))
        raise conflict("host_unreachable", str(error), error.hint) from error
    except TimeoutError as error:
        told = f"The host did not answer within {LONGEST:.0f} s."
        reachability.note(Asset.objects.filter(pk=host.pk), False, told)
        raise conflict("host_unreachable", told) from error
    except ValueError as error:
        raise conflict("host_key_unusable", f"The host's key cannot be pinned: {error}") from error


def _remember(host: Asset, found: Finding) -> None:
    key = {"offered_key": "" if found.offered_key == host.host_key else found.offered_key} if found.offered_key else {}
    with transaction.atomic():
        reachability.note(Asset.objects.filter(pk=host.pk), found.reachable, found.error, **key)
        if found.reachable != host.reachable or key.get("offered_key", host.offered_key) != host.offered_key:
            events.write([events.of_host(host.pk, found.reachable)])


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The call's result, or TimeoutError. What is late goes on in its thread until the engine's own limits end it."""
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits for it
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
