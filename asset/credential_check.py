"""Testing a credential before it is saved: a login on the hosts that use it, where nothing is run.

paramiko is imported with the first test; see host_check.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from access.callers import Caller
from access.problems import FieldError, invalid, refused
from deployer.engine.endpoint import Endpoint, shares
from deployer.engine.errors import AuthRefused, BadCredential, WireError
from messages import Message
from runtime.db_connections import release_connection

from . import credentials, tenancy
from .endpoints import endpoint_from, with_paths
from .models import Asset, Credential

MAX_HOSTS = 5  # in one test, all at once
TIMEOUT = 8.0  # seconds for a login through all jump hosts; an answer is promised within 10


def trial(
    caller: Caller, credential: Credential, values: Mapping[str, Any], hosts: Collection[int] | None = None
) -> list[dict[str, Any]]:
    """Log in with the credential as it would be with `values` (kind, secret, passphrase). Change nothing.

    `hosts`: ids of at most MAX_HOSTS; None: those that use it, the ones that answered last first. Return for each
    {"host_id", "hostname", "accepted", "error"}: `accepted` is None where the host could not be reached, `error` the
    reason as a Message or None.
    """
    candidate = credentials.changed(credential, values)
    host_ids = _chosen(caller, credential, hosts)
    rows = with_paths(host_ids)
    for row in rows.values():  # jump hosts are among them, and may use the same credential
        if row.credential_id == credential.pk or row.pk in host_ids:
            row.credential = candidate
    endpoints = [endpoint_from(rows[host_id]) for host_id in host_ids]
    release_connection()
    with ThreadPoolExecutor(MAX_HOSTS) as pool:
        results = list(pool.map(_log_in, endpoints))
    return [
        {"host_id": host_id, "hostname": rows[host_id].hostname, "accepted": accepted, "error": error}
        for host_id, (accepted, error) in zip(host_ids, results, strict=True)
    ]


def refuse_unaccepted(results: list[dict[str, Any]]) -> None:
    """Raise 409 `credential_refused` where a host refused it, or where hosts use it and none could be reached."""
    failed = [result for result in results if result["accepted"] is False]
    if not failed and not any(result["accepted"] for result in results):
        failed = results
    if failed:
        errors = [
            FieldError(
                "/secret",
                Message("refused_by_host", {"host": result["hostname"], "reason": result["error"]}),
                {"host_id": result["host_id"]},
            )
            for result in failed
        ]
        raise refused("credential_refused", errors, host=failed[0]["hostname"], reason=failed[0]["error"])


def _chosen(caller: Caller, credential: Credential, hosts: Collection[int] | None) -> list[int]:
    visible = Asset.objects.filter(tenancy.visible(caller))
    if hosts is None:
        users = visible.filter(credential=credential).exclude(host_key="")
        return list(users.order_by("-reachable", "-last_contact").values_list("pk", flat=True)[:MAX_HOSTS])
    if len(set(hosts)) > MAX_HOSTS:
        raise invalid("/hosts", "trial_hosts", max=MAX_HOSTS)
    existing = set(visible.filter(pk__in=hosts).values_list("pk", flat=True))
    for host_id in hosts:
        if host_id not in existing:
            raise invalid("/hosts", "trial_no_such_host", host=host_id)
    return list(dict.fromkeys(hosts))


def _log_in(endpoint: Endpoint) -> tuple[bool | None, Message | None]:
    from deployer.engine.ssh import connect

    try:
        connect(endpoint, shares(endpoint, TIMEOUT)).close()
    except WireError as error:
        was_refused = isinstance(error, AuthRefused | BadCredential)
        return (False if was_refused else None), error.message
    return True, None
