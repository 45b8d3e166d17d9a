"""deployctl deploy, revert, causes and retry: what each asks of the API, and what it says of the answer."""

import json

import pytest

from asset.models import HostGroup
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import OperationStatus
from tests.api.test_causes import end
from tests.microservice.deployments import distinct_ids
from tests.microservice.deployments.requests import end_all

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fleet(db):
    """Return three instances of shop, two of them in Europe; versions up to 3.0."""
    made = distinct_ids.create()
    for row in MicroServiceInstance.objects.select_related("host"):
        row.host.labels = {"zone": "us"} if row.host.hostname == "web3" else {"zone": "eu"}
        row.host.save()
    HostGroup.objects.create(name="europe", labels={"zone": "eu"})
    return made


def let_go() -> None:
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=0)


def test_deploys_where_it_is_told(fleet, said):
    for words, hosts in (
        ((), "web1 web2 web3"),
        (("--host", "web1,9003"), "web1 web3"),
        (("--instance", "9002"), "web1"),
        (("--label", "zone=eu"), "web1 web2"),
        (("--label", "zone"), "web1 web2 web3"),
        (("--group", "europe"), "web1 web2"),
    ):
        status, output, errors = said("deploy", "shop", "3.0", *words, "--no-wait")
        assert (status, fleet.locked()) == (0, set(hosts.split())), (words, errors)
        assert "deploy  3.0  queued" in output
        let_go()
    options = ("--canary", "1", "--batch-size", "50%", "--max-failures", "2", "--on-failure", "revert_all")
    said("deploy", "shop", "3.0", *options, "--pause-between", "--note", "fixes #17", "--no-wait")
    made = Deployment.objects.latest("pk")
    assert made.note == "fixes #17"
    assert made.strategy == {
        "canary": 1,
        "batch_size": "50%",
        "max_failures": 2,
        "on_failure": "revert_all",
        "pause_between": True,
    }


def test_what_chooses_nothing_is_refused(fleet, said):
    for words, told in (
        (("--label", "zone=asia"), "zone=asia"),
        (("--group", "asia"), "asia"),
        (("--group", ""), "must not be empty"),
        (("--label", "zone="), "NAME=VALUE"),
        (("--label", "zone=eu", "--host", "web1"), "mutually exclusive"),
        (("--host", "spare"), "spare has no instance"),
        (("--batch-size", "a few"), "--batch-size"),
        (("--canary", "-1"), "--canary"),
        (("--on-failure", "panic"), "--on-failure"),
    ):
        status, _, errors = said("deploy", "shop", "3.0", *words, "--no-wait")
        assert (status, told in errors) == (2, True), (words, errors)
    assert not Deployment.objects.exists()


def test_plan_changes_nothing(fleet, said):
    status, output, _ = said("deploy", "shop", "3.0", "--batch-size", "2", "--plan")
    assert status == 0 and "web1:10.0.0.1: upgrade 2.0 → 3.0: " in output and "batches: 2, 1" in output
    plan = json.loads(said("--json", "deploy", "shop", "1.0", "--group", "europe", "--plan")[1])
    assert {row["action"] for row in plan["targets"]} == {"revert"} and len(plan["targets"]) == 2
    assert said("deploy", "shop", "2.0", "--plan")[1] == "Nothing to do.\n"
    assert not Deployment.objects.exists() and not fleet.locked()


def test_what_is_there_is_a_success_and_what_is_under_way_is_the_same(fleet, said):
    assert said("deploy", "shop", "2.0") == (0, "shop 2.0 is there already.\n", "")
    first, again = (json.loads(said("--json", "deploy", "shop", "3.0", "--no-wait")[1])["id"] for _ in range(2))
    assert first == again and Deployment.objects.count() == 1


def test_refusal_is_json_if_asked(fleet, said):
    status, output, errors = said("deploy", "shop", "9.9", "--json")
    problem = json.loads(output)
    assert (status, problem["code"], problem["errors"][0]["pointer"], errors) == (2, "invalid", "/version", "")
    status, output, _ = said("--json", "deploy", "shop")
    assert status == 2 and "version" in json.loads(output)["detail"]


def test_reverts_a_deployment_on_some_hosts(fleet, said):
    said("deploy", "shop", "3.0", "--no-wait")
    made = Deployment.objects.get()
    end_all(made, OperationStatus.SUCCEEDED)
    number = str(made.pk)
    status, output, errors = said("revert", number, "--host", "web1", "--plan")
    assert status == 0 and output.count("revert 3.0 → 2.0") == 1, errors
    status, _, errors = said("revert", number, "--host", "web1,web3", "--mark-bad", "loses orders", "--no-wait")
    assert (status, fleet.locked()) == (0, {"web1", "web3"}), errors
    made.dest_version.refresh_from_db()
    assert (made.dest_version.bad, made.dest_version.bad_reason) == (True, "loses orders")
    for words in (("--label", "zone"), ("--from", "2.0"), ("--force",)):
        assert "--host alone" in said("revert", number, *words)[2]


def test_causes_are_listed_and_one_is_retried(fleet, said):
    said("deploy", "shop", "3.0", "--no-wait")
    made = Deployment.objects.get()
    end(made, ["no space left", "no space left", "no licence"])
    status, output, errors = said("causes", str(made.pk))
    first, _, second, _ = output.splitlines()
    assert "hosts: 2" in first and "no space" in first and "hosts: 1" in second and "no licence" in second
    status, _, errors = said("retry", str(made.pk), "--cause", second.split()[0], "--no-wait")
    assert (status, len(fleet.locked())) == (0, 1), errors
