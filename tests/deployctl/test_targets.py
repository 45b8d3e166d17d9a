"""deployctl selects hosts by name or id and instances by id, in a fleet where each id has two meanings."""

import json
from pathlib import Path

import pytest

from microservice.models import Deployment, MicroServiceInstance
from tests.microservice.deployments import distinct_ids

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("hosts")]


def let_go() -> None:
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=0)


def test_upgrades_and_reverts_chosen_targets(ctl):
    fleet = distinct_ids.create()
    for words, hosts in (
        (["upgrade", "shop", "3.0", "--host", "web1"], "web1"),
        (["upgrade", "shop", "3.0", "--host", "9002"], "web2"),
        (["upgrade", "shop", "3.0", "--host", "web1,9003"], "web1 web3"),
        (["revert", "shop", "1.0", "--host", "web2", "--host", "web3"], "web2 web3"),
        (["upgrade", "shop", "3.0", "--instance", "9002"], "web1"),
        (["revert", "shop", "1.0", "--instance", "9001,9103"], "web2 web3"),
        (["upgrade", "shop", "3.0", "--from", "2.0", "--host", "web3"], "web3"),
        (["upgrade", "shop", "3.0", "--host", "all"], "web1 web2 web3"),
        (["upgrade", "shop", "3.0"], "web1 web2 web3"),
    ):
        done = ctl(*words, "--no-wait")
        assert (done.returncode, fleet.locked()) == (0, set(hosts.split())), (words, done.stderr)
        let_go()


def test_rejects_unknown_targets(ctl):
    fleet = distinct_ids.create()
    for words, told in (
        (["--host", "nowhere"], "no instance on host nowhere"),
        (["--host", "9103"], "no instance on host 9103"),
        (["--instance", "9003"], "no instance 9003"),
        (["--instance", "web1"], "'web1'"),
        (["--host", "web1", "--instance", "9001"], "mutually exclusive"),
        (["--host", ""], "must not be empty"),
        (["--host", "web1,,web2"], "must not be empty"),
        (["--host", "all,web1"], "cannot be combined"),
        (["--from", "2.0", "--host", "spare"], "Host spare has no instance of shop"),
    ):
        done = ctl("upgrade", "shop", "3.0", *words, "--no-wait")
        assert (done.returncode, told in done.stderr) == (2, True), (words, done.stderr)
    whole = ctl("revert", "1", "--instance", "9001")
    assert (whole.returncode, "--host, --label or --group choose where" in whole.stderr) == (2, True)
    assert not fleet.locked() and not Deployment.objects.exists()


def test_install_accepts_names_and_ids(ctl):
    distinct_ids.create()
    taken = ctl("install", "shop", "2.0", "--host", "9002", "--no-wait")
    assert taken.returncode == 4 and "web2:10.0.0.2 already has shop" in taken.stderr
    assert "Host 9103" in ctl("install", "shop", "2.0", "--host", "9103", "--no-wait").stderr
    assert ctl("install", "shop", "2.0", "--host", "all", "--no-wait").returncode == 2
    done = ctl("--json", "install", "shop", "2.0", "--host", "spare", "--no-wait")
    assert done.returncode == 0, done.stderr
    assert MicroServiceInstance.objects.get(host=distinct_ids.SPARE).lock_deployment_id == json.loads(done.stdout)["id"]


def test_status_labels_ids(ctl):
    distinct_ids.create()
    done = ctl("status", "shop")
    assert done.stderr.split()[:3] == ["instance", "host", "id"]
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert rows == [
        ["9001", "9002", "web2:10.0.0.2"],
        ["9002", "9001", "web1:10.0.0.1"],
        ["9103", "9003", "web3:10.0.0.3"],
    ]
