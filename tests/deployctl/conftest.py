"""A web process, and deployctl as a process that speaks to it."""

import subprocess

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from tests.lab.web import Web

from .process import run_deployctl


@pytest.fixture
def web(environment, store, tmp_path):
    with Web({**environment, "PACKAGE_ROOT": str(store)}, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def ctl(web):
    """Return `ctl("status", "7")`, which runs deployctl as a superuser and returns the completed process."""
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    secret = make_token(user, "ci", ["read", "publish", "deploy", "admin"])[1]

    def run(*words: str, **more: str) -> subprocess.CompletedProcess:
        return run_deployctl(web.url, secret, *words, **more)

    return run
