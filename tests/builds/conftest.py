"""Where builds come from: a repository with a service, and build servers."""

import pytest

from tests import factories

from .repository import Repository


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.fixture
def service(repository, db):
    """Return a service that is built from `repository`, by a command that prints `built`."""
    return factories.service("shop", build_url=repository.url, build_command="echo built; cp app app2")


@pytest.fixture
def quick(settings):
    """Allow repositories in folders, and let a worker poll every second."""
    settings.GIT_ALLOWED_PROTOCOLS = ["file"]
    settings.BUILD_POLL_INTERVAL = 1


@pytest.fixture
def server():
    """Yield a server that speaks GitLab's and Jenkins's API."""
    from .buildservers import Server

    with Server() as running:
        yield running


@pytest.fixture
def configured(server, monkeypatch, settings):
    """Configure `server` as GitLab and as Jenkins."""
    from builds import gitlab, jenkins, server_session, servers

    settings.BUILD_POLL_INTERVAL = 1
    monkeypatch.setattr(server_session, "TIMEOUT", 1)
    known = {
        "gitlab": gitlab.GitLab(server.url, "glpat-secret"),
        "jenkins": jenkins.Jenkins(server.url, "ci", "secret"),
    }
    monkeypatch.setattr(servers, "provider_of", known.get)
