"""Where a server and we do not agree: on algorithms, on its key, on how our own key is proved. Which error that is."""

from dataclasses import replace

import paramiko

from messages import Message

from ..codes import reason
from ..endpoint import Endpoint, fingerprint, host_key_text
from ..errors import AuthRefused, KeyChanged, NoCommonAlgorithm, TooOld, WireError
from . import algorithms
from .transport import Transport


def incompatible(transport: Transport, endpoint: Endpoint) -> WireError:
    """Explain that nothing is in common; or all but the pinned key's type, so that the host has lost that key."""
    if transport.theirs is None:
        return TooOld(where=endpoint.where)
    ours = transport.ours
    if transport.pinned is not None:
        kind = host_key_text(transport.pinned).split()[0]
        # The host may still have the key, and only prove it in a way that we do not take: that is not another key.
        if set(algorithms.of_type(kind, algorithms.LEGACY)) & set(transport.theirs.keys):
            ours = replace(ours, keys=transport.preferred_keys)
    if gaps := algorithms.gaps(transport.theirs, ours):
        return _nothing_common(endpoint, gaps)
    return key_changed(endpoint, reason("another_key_type"), "")


def key_changed(endpoint: Endpoint, offered: Message | str, key: str) -> KeyChanged:
    """Make the error. `offered` is the key's fingerprint, or words; `key` the whole of it."""
    pinned = fingerprint(endpoint.host_key) if endpoint.host_key else "-"
    return KeyChanged(where=endpoint.where, pinned=pinned, offered=offered, key=key)


def prove(transport: Transport, user: str, key: paramiko.PKey) -> list[str]:
    """Log in with the key, as `auth_publickey` does; return what else is asked for."""
    try:
        return transport.auth_publickey(user, key)
    except paramiko.AuthenticationException as error:
        # A server may take the old signature alone and not say so: OpenSSH before 7.2 says nothing, and 9.2 that it
        # takes all.
        if type(error) is not paramiko.AuthenticationException or not transport.is_active():
            raise
        if not isinstance(key, paramiko.RSAKey) or "ssh-rsa" not in transport.preferred_pubkeys:
            raise
        transport._preferred_pubkeys = ("ssh-rsa",)
        return transport.auth_publickey(user, key)


def not_accepted(transport: Transport, endpoint: Endpoint, key: paramiko.PKey | None) -> WireError:
    """Tell a credential that is not known from one whose signatures are not taken."""
    why = reason("not_accepted")
    if key is not None:
        extension = transport.server_extensions.get("server-sig-algs", b"").decode("ascii", "replace")
        there = tuple(name for name in algorithms.names(extension.split(",")) if "-cert-" not in name)
        here = tuple(name for name in algorithms.of_type(key.get_name(), transport.ours) if name in transport.ours.keys)
        if there and not set(there) & set(here):
            return _nothing_common(endpoint, [algorithms.Gap("logins", there, here)])
        if not there and isinstance(key, paramiko.RSAKey) and not endpoint.legacy:
            why = reason("rsa_not_accepted")
    return AuthRefused(where=endpoint.where, username=endpoint.username, reason=why)


def _nothing_common(endpoint: Endpoint, found: list[algorithms.Gap]) -> NoCommonAlgorithm:
    return NoCommonAlgorithm(
        where=endpoint.where,
        gaps=[gap.message for gap in found],
        remedy=algorithms.remedy(found, endpoint.legacy),
        legacy=not endpoint.legacy and algorithms.legacy_would_do(found),
    )
