"""Hosts for each test: without SSH, behind a real SSH server, and behind a jump host."""

import pytest

from .host import EVERY_SHELL, Host, package


@pytest.fixture
def host(tmp_path):
    """Yield a host whose shell is dash, with nothing on it."""
    host = Host(tmp_path)
    yield host
    host.end()


@pytest.fixture(params=EVERY_SHELL)
def any_host(tmp_path, request):
    """Yield the same under each shell that a host may have."""
    host = Host(tmp_path, request.param)
    yield host
    host.end()


@pytest.fixture
def running(host):
    """Return a host on which v1 runs."""
    assert host.carry_out("install", None, "v1").end.result == "done"
    host.log.unlink()
    return host


@pytest.fixture
def any_running(any_host):
    """Return a host of each shell, on which v1 runs."""
    any_host.packages["v1"] = package("v1", serve="#!/bin/sh\necho served\n")
    assert any_host.carry_out("install", None, "v1").end.result == "done"
    any_host.log.unlink()
    return any_host


# paramiko is loaded by the two fixtures that connect, so that a pure test starts at once.


@pytest.fixture
def site(sshds):
    """Return a service on a host with a real SSH server."""
    from .site import Site

    return Site(sshds(1)[0])


@pytest.fixture
def network(tmp_path, request):
    """Yield a jump host with one host behind it; parametrize indirectly for more."""
    from deployer.engine.jump_cache import client as copies

    from .jump_network import Network

    with Network(tmp_path, getattr(request, "param", 1)) as found:
        yield found
    assert not copies._caches or all(not cache.users for cache in copies._caches.values())
    copies._caches.clear()  # what was refused counts for a while
