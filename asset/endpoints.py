"""The way to a host, through its jump hosts, as the engine wants it."""

from collections.abc import Iterable
from dataclasses import replace

from access.problems import conflict
from deployer.engine.endpoint import Endpoint

from .models import Asset, Credential

MOST_JUMPS = 3  # hosts between us and the last one
# What `select_related` has to load so that `endpoint_from` asks nothing.
WAY = (
    "credential",
    "jump_host__credential",
    "jump_host__jump_host__credential",
    "jump_host__jump_host__jump_host__credential",
)


def with_ways(numbers: Iterable[int]) -> dict[int, Asset]:
    """These hosts by id, ready for `endpoint_from`. What many share, a credential or a jump host, is one object."""
    found: dict[int, Asset] = {}
    missing = set(numbers)
    while missing:  # the hosts, then their jump hosts, then those of these: a circle ends, because each is read once
        found |= Asset.every.in_bulk(missing)
        missing = {host.jump_host_id for host in found.values() if host.jump_host_id} - set(found)
    keys = Credential.objects.in_bulk({host.credential_id for host in found.values() if host.credential_id})
    for host in found.values():
        host.credential = keys[host.credential_id] if host.credential_id else None
        host.jump_host = found[host.jump_host_id] if host.jump_host_id else None
    return found


def endpoint_of(host: Asset) -> Endpoint:
    """The way to a host, jump hosts included: one query. Raises Problem (409) where the way is not complete."""
    return endpoint_from(Asset.every.select_related(*WAY).get(pk=host.pk))


def endpoint_from(host: Asset) -> Endpoint:
    """The same without a query, for a host that came with `select_related(*WAY)` or from `with_ways`."""
    way: Endpoint | None = None
    for hop in reversed(_hops(host)):
        way = _endpoint(hop, way)
    assert way is not None
    return way


def jump_of(host: Asset) -> Endpoint | None:
    """The way to the host's last jump host: all that is needed to see the host's key, whose credential is not."""
    return endpoint_of(host.jump_host) if host.jump_host is not None else None


def _hops(host: Asset) -> list[Asset]:
    """The host, its jump host, that one's …: at most MOST_JUMPS of them."""
    hops = [host]
    while (jump := hops[-1].jump_host) is not None:
        # Two changes at the same moment can close a circle that neither saw, so the length is checked here again.
        if len(hops) > MOST_JUMPS:
            raise conflict("too_many_jumps", f"{host.hostname} lies behind more than {MOST_JUMPS} jump hosts.")
        hops.append(jump)
    return hops


def _endpoint(hop: Asset, jump: Endpoint | None) -> Endpoint:
    credential = hop.credential
    if credential is None:
        what = f"{hop.hostname} has no credential, so nobody can log in."
        raise conflict("no_credential", what, "Choose one in the host's form.")
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
