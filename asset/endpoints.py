"""The path to a host, through its jump hosts, as the engine's Endpoint."""

from collections.abc import Iterable
from dataclasses import replace

from access.problems import refused
from deployer.engine.endpoint import Endpoint

from .models import Asset, Credential

MAX_JUMPS = 3  # jump hosts between a worker and a host
# What `select_related` has to load so that `endpoint_from` makes no query.
PATH = (
    "credential",
    "jump_host__credential",
    "jump_host__jump_host__credential",
    "jump_host__jump_host__jump_host__credential",
)


def with_paths(numbers: Iterable[int]) -> dict[int, Asset]:
    """Return these hosts by id, ready for `endpoint_from`. A shared credential or jump host is one object."""
    hosts: dict[int, Asset] = {}
    missing = set(numbers)
    while missing:  # the hosts, their jump hosts, and so on: each is read once, so a circle ends
        hosts |= Asset.every.in_bulk(missing)
        missing = {host.jump_host_id for host in hosts.values() if host.jump_host_id} - set(hosts)
    keys = Credential.objects.in_bulk({host.credential_id for host in hosts.values() if host.credential_id})
    for host in hosts.values():
        host.credential = keys[host.credential_id] if host.credential_id else None
        host.jump_host = hosts[host.jump_host_id] if host.jump_host_id else None
    return hosts


def endpoint_of(host: Asset) -> Endpoint:
    """Return the endpoint of a host with its jump hosts, in one query. 409 where a credential is missing."""
    return endpoint_from(Asset.every.select_related(*PATH).get(pk=host.pk))


def endpoint_from(host: Asset) -> Endpoint:
    """Return the same without a query, for a host from `select_related(*PATH)` or `with_paths`."""
    endpoint: Endpoint | None = None
    for hop in reversed(_hops(host)):
        endpoint = _endpoint(hop, endpoint)
    assert endpoint is not None
    return endpoint


def jump_of(host: Asset) -> Endpoint | None:
    """Return the endpoint of the host's nearest jump host: enough to read the host's key, without its credential."""
    return endpoint_of(host.jump_host) if host.jump_host is not None else None


def _hops(host: Asset) -> list[Asset]:
    """Return the host and its jump hosts, the nearest first; 409 for more than MAX_JUMPS."""
    hops = [host]
    while (jump := hops[-1].jump_host) is not None:
        # Two changes at the same moment can close a circle that neither sees, so the length is checked again.
        if len(hops) > MAX_JUMPS:
            raise refused("too_many_jumps", host=host.hostname, max=MAX_JUMPS)
        hops.append(jump)
    return hops


def _endpoint(hop: Asset, jump: Endpoint | None) -> Endpoint:
    credential = hop.credential
    if credential is None:
        raise refused("no_credential", host=hop.hostname)
    known = Endpoint(
        address=hop.ip,
        port=hop.port,
        username=hop.username,
        host_key=hop.host_key,
        jump=jump,
        package_port=hop.package_port or 0,
        package_address=hop.package_address or "",
        legacy=hop.legacy_algorithms,
    )
    if credential.kind == Credential.Kind.KEY:
        return replace(known, key=credential.secret, passphrase=credential.passphrase)
    return replace(known, password=credential.secret)
