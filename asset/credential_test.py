"""Logging in with a credential before anything depends on it: on the hosts that use it, and nothing is run there.

What speaks SSH is loaded when a host is asked; see host_check.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from access.callers import Caller
from access.problems import conflict, invalid
from deployer.engine.endpoint import Endpoint, shares
from deployer.engine.errors import AuthRefused, BadCredential, WireError
from runtime.db_connections import give_back

from . import credentials, tenancy
from .endpoints import endpoint_from, with_ways
from .models import Asset, Credential

MAX_HOSTS = 5  # that are asked in one trial, all at once
DEADLINE = 8.0  # seconds for a log-in with all that is in the way; an answer is promised within 10


def trial(
    caller: Caller, credential: Credential, values: Mapping[str, Any], hosts: Collection[int] | None = None
) -> list[dict[str, Any]]:
    """Logs in with the credential as it would be with `values` (kind, secret, passphrase; none: as it is).

    `hosts` are ids, None: those that use it, the ones that answered last first; MAX_HOSTS at most. Answers for each
    {"host_id", "hostname", "accepted", "error"}: accepted is None where the host could not be asked. Changes nothing.
    """
    tried = credentials.changed(credential, values)
    numbers = _chosen(caller, credential, hosts)
    rows = with_ways(numbers)
    for row in rows.values():  # its jump hosts are among them: they may be logged in to with the same credential
        if row.credential_id == credential.pk or row.pk in numbers:
            row.credential = tried
    ways = [endpoint_from(rows[number]) for number in numbers]
    give_back()
    with ThreadPoolExecutor(MAX_HOSTS) as pool:
        told = list(pool.map(_log_in, ways))
    return [
        {"host_id": number, "hostname": rows[number].hostname, "accepted": accepted, "error": error}
        for number, (accepted, error) in zip(numbers, told, strict=True)
    ]


def refuse_unaccepted(found: list[dict[str, Any]]) -> None:
    """409 `credential_refused` where a host refused it, or where hosts use it and none could be asked."""
    wrong = [one for one in found if one["accepted"] is False] or (
        found if found and not any(one["accepted"] for one in found) else []
    )
    if wrong:
        errors = [
            {"pointer": "/secret", "reason": f"{one['hostname']}: {one['error']}", "host_id": one["host_id"]}
            for one in wrong
        ]
        raise conflict(
            "credential_refused",
            f"Nothing was saved: {errors[0]['reason']}",
            "Put the new key in place on the hosts first, or save it without the test.",
            errors,
        )


def _chosen(caller: Caller, credential: Credential, hosts: Collection[int] | None) -> list[int]:
    seen = Asset.objects.filter(tenancy.visible(caller))
    if hosts is None:
        users = seen.filter(credential=credential).exclude(host_key="")
        return list(users.order_by("-reachable", "-last_contact").values_list("pk", flat=True)[:MAX_HOSTS])
    if len(set(hosts)) > MAX_HOSTS:
        raise invalid("/hosts", f"must be at most {MAX_HOSTS} hosts")
    found = set(seen.filter(pk__in=hosts).values_list("pk", flat=True))
    for number in hosts:
        if number not in found:
            raise invalid("/hosts", f"there is no host {number}")
    return list(dict.fromkeys(hosts))


def _log_in(endpoint: Endpoint) -> tuple[bool | None, str]:
    from deployer.engine.ssh import connect

    try:
        connect(endpoint, shares(endpoint, DEADLINE)).close()
    except WireError as error:
        refused = isinstance(error, AuthRefused | BadCredential)
        return (False if refused else None), f"{error} {error.hint}".strip()
    return True, ""
