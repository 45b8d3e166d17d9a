"""Hosts without SSH, one for each test."""

import pytest

from .host import SHELLS, Host


@pytest.fixture
def host(tmp_path):
    """A host whose shell is dash, with nothing on it."""
    host = Host(tmp_path)
    yield host
    host.end()


@pytest.fixture(params=SHELLS)
def any_host(tmp_path, request):
    """The same under each shell that a host may have."""
    host = Host(tmp_path, request.param)
    yield host
    host.end()


@pytest.fixture
def running(host):
    """A host on which v1 runs."""
    assert host.carry_out("install", None, "v1").end.result == "done"
    host.log.unlink()
    return host
