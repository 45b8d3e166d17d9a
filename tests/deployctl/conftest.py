"""A web process, and deployctl as a process that speaks to it."""

import subprocess

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from deployctl.commands import main
from tests.lab.web import Web

from .process import run_deployctl


@pytest.fixture
def web(environment, store, tmp_path):
    with Web({**environment, "PACKAGE_ROOT": str(store)}, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def secret(transactional_db) -> str:
    """Return a token of a superuser."""
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    return make_token(user, "ci", ["read", "publish", "deploy", "admin"])[1]


@pytest.fixture
def ctl(web, secret):
    """Return `ctl("status", "7")`, which runs deployctl as a superuser and returns the completed process."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess:
        return run_deployctl(web.url, secret, *words, **more)

    return run


@pytest.fixture
def said(web, secret, capsys, monkeypatch):
    """Return `said("status", "7")`: deployctl within this process, which starts at once: (status, stdout, stderr)."""
    monkeypatch.setenv("DEPLOYCTL_TOKEN", secret)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(["--url", web.url, *words])
        except SystemExit as ended:
            status = ended.code
        return (status, *capsys.readouterr())

    return run
