"""A web process, and deployctl as a process that speaks to it."""

import os
import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from tests.lab.web import Web
from tests.lab.worker import ROOT


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
        known = {"PATH": os.environ["PATH"], "DEPLOYCTL_URL": web.url, "DEPLOYCTL_TOKEN": secret, **more}
        return subprocess.run(
            [sys.executable, "-m", "deployctl", *words],
            cwd=ROOT,
            env=known,
            text=True,
            capture_output=True,
            timeout=100,
        )

    return run
