"""deployctl with a real web server, worker and host."""

import json

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from tests.lab.fleet import Fleet, package
from tests.lab.web import Web

from .process import run_deployctl

pytestmark = pytest.mark.django_db(transaction=True)


def test_installs_upgrades_and_reverts(environment, sshds, worker, tmp_path):
    fleet = Fleet(sshds(1), versions=1)
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    secret = make_token(user, "ci", ["read", "publish", "deploy", "admin"])[1]
    with Web(environment, tmp_path / "web.log") as web:

        def ctl(*words: str) -> str:
            done = run_deployctl(web.url, secret, *words)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        worker()
        assert "reachable: True" in ctl("hosts", "check", "h0")
        assert "succeeded" in ctl("install", "shop", "1.0", "--host", "h0", "--timeout", "60")
        fleet.agrees(0)
        archive = tmp_path / "2.tar.gz"
        archive.write_bytes(package({"VERSION": "2.0"}))
        number = json.loads(ctl("--json", "versions", "publish", "shop", "2.0", str(archive)))["id"]
        fleet.versions.append(fleet.service.versions.get(pk=number))
        upgraded = json.loads(ctl("--json", "upgrade", "shop", "2.0"))
        fleet.agrees(1)
        ctl("logs", str(upgraded["id"]), "-f")
        assert "succeeded" in ctl("revert", str(upgraded["id"]))
        fleet.agrees(0)
