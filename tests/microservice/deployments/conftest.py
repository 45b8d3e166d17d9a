"""Fixtures for tests of hosts that belong to teams."""

import pytest

from worker.writer import BatchWriter

from .two_teams import TwoTeams


@pytest.fixture
def two(transactional_db, monkeypatch):
    monkeypatch.setattr("microservice.deployments.installs.require_package", lambda version, pointer: version)
    monkeypatch.setattr("microservice.deployments.destinations.ensure_rewritten", lambda version: version)
    return TwoTeams()


@pytest.fixture
def batch(transactional_db):
    writer = BatchWriter("w1", 16)
    yield writer
    writer.close()
