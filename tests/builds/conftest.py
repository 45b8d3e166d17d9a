"""Where builds come from: a repository with a service, and build servers."""

import pytest

from tests import factories
from tests.lab import image_registry

from . import image_steps
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


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    if not image_registry.installed():
        pytest.skip(image_registry.MISSING)
    folder = tmp_path_factory.mktemp("registry")
    with image_registry.ImageRegistry(folder, users={image_steps.USER: image_steps.WORD}) as started:
        yield started


@pytest.fixture
def configure(docker_engine, registry):
    """Save the settings of an engine and a registry, the session's unless others are given."""

    def save(engine=docker_engine, at=registry, **more):
        image_steps.save_settings(engine, at, **more)

    save()
    return save


@pytest.fixture
def base(registry, configure) -> str:
    """Push the busybox to the registry, and return its reference."""
    return image_steps.push_base(registry)
