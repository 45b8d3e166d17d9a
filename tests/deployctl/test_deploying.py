"""deployctl deploy, revert, causes and retry: what each asks of the API, and what it says of the answer."""

import json
import threading
import time

import pytest
from django.db import connection

from asset.models import Asset, Environment, HostGroup
from deployctl import locks
from deployctl.exits import Exit
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import OperationStatus
from tests.api.test_causes import end
from tests.microservice.deployments import distinct_ids
from tests.microservice.deployments.requests import end_all, other

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
    for words in (("--instance", "9001"), ("--from", "2.0"), ("--force",)):
        assert "choose where" in said("revert", number, *words)[2]


def test_reverts_a_deployment_where_labels_say(fleet, said):
    said("deploy", "shop", "3.0", "--no-wait")
    made = Deployment.objects.get()
    end_all(made, OperationStatus.SUCCEEDED)
    for words in (("--label", "zone=eu"), ("--group", "europe")):
        output = said("revert", str(made.pk), *words, "--plan")[1]
        assert output.count("revert 3.0 → 2.0") == 2 and "web3" not in output
    assert said("revert", str(made.pk), "--group", "europe", "--no-wait")[0] == 0
    assert fleet.locked() == {"web1", "web2"}


def in_europe(fleet) -> None:
    """Give the host without the service the label of the others."""
    Asset.objects.filter(hostname="spare").update(labels={"zone": "eu"})


def test_installs_where_labels_say(fleet, said):
    in_europe(fleet)
    for words in (("--label", "zone=eu"), ("--group", "europe")):
        status, output, errors = said("install", "shop", "3.0", *words, "--plan")
        assert status == 0 and output.startswith("spare:10.") and output.count("install 3.0") == 1, errors
    assert said("install", "shop", "3.0", "--host", "web1,spare", "--no-wait")[0] == 4
    assert said("install", "shop", "3.0", "--host", "web1,spare", "--skip-installed", "--no-wait")[0] == 0
    assert fleet.locked() == {"spare"}
    status, output, _ = said("install", "shop", "3.0", "--group", "europe", "--skip-installed")
    assert (status, output) == (0, "shop is on these hosts already.\n")
    assert "Where?" in said("install", "shop", "3.0")[2]


def test_first_deploy_of_a_pipeline_installs_and_later_ones_deploy(fleet, said):
    """As the job of a pipeline that is copied once and run again and again."""
    in_europe(fleet)
    instances = list(MicroServiceInstance.objects.all())
    MicroServiceInstance.objects.all().delete()
    words = ("--install", "--group", "europe", "--port", "8100", "--no-wait")
    status, output, errors = said("deploy", "shop", "2.0", *words, "--plan")
    assert status == 0 and output.count("install 2.0") == 3 and not fleet.locked(), errors
    assert said("deploy", "shop", "2.0", *words)[0] == 0
    first = Deployment.objects.get()
    assert (first.action, fleet.locked()) == ("install", {"web1", "web2", "spare"})
    assert set(MicroServiceInstance.objects.values_list("port", flat=True)) == {8100}
    end_all(first, OperationStatus.SUCCEEDED)
    assert said("deploy", "shop", "2.0", *words)[:2] == (0, "shop 2.0 is there already.\n")
    MicroServiceInstance.objects.filter(host__hostname="spare").delete()
    status, output, errors = said("deploy", "shop", "3.0", *words, "--json")
    assert status == 0 and [one["action"] for one in json.loads(output)] == ["install", "deploy"], errors
    assert fleet.locked() == {"web1", "web2", "spare"} and len(instances) == 3


def test_named_hosts_get_it_and_those_that_have_it_are_deployed_to(fleet, said):
    words = ("deploy", "shop", "3.0", "--install", "--host", "web1,spare", "--canary", "1")
    status, output, errors = said(*words, "--on-failure", "revert_all", "--plan")
    assert status == 0 and [line.split()[1] for line in output.splitlines()] == ["install", "upgrade"], errors
    assert said(*words, "--on-failure", "revert_all", "--no-wait")[0] == 0
    install, deploy = Deployment.objects.order_by("pk")
    assert (install.strategy["canary"], install.strategy["on_failure"]) == (1, "hold")
    assert (deploy.action, deploy.strategy["on_failure"]) == ("deploy", "revert_all")
    assert fleet.locked() == {"web1", "spare"}


def test_install_that_fails_ends_the_deploy(fleet, said):
    """What the new host refuses does not reach the others."""

    def fail() -> None:
        while not (made := Deployment.objects.filter(action="install").first()) or not made.operations.exists():
            time.sleep(0.05)
        end_all(made, OperationStatus.FAILED, error=other("no licence"))
        connection.close()

    failing = threading.Thread(target=fail)
    failing.start()
    status, _, errors = said("deploy", "shop", "3.0", "--install", "--host", "web1,spare", "--timeout", "20")
    failing.join()
    assert (status, Deployment.objects.count()) == (1, 1), errors


def test_install_needs_a_place(fleet, said):
    for words, told in (
        (("--install",), "where the service belongs"),
        (("--install", "--instance", "9001"), "where the service belongs"),
        (("--install", "--label", "zone=asia"), "zone=asia"),
        (("--install", "--host", "web1,none"), "none"),
        (("--host", "web1", "--port", "80"), "--port and --tag are for --install"),
    ):
        status, _, errors = said("deploy", "shop", "3.0", *words, "--no-wait")
        assert (status, told in errors) == (2, True), (words, errors)
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("where", [("--host", "web1"), ("--label", "zone=eu"), ()])
def test_waits_for_hosts_that_another_deployment_has_locked(fleet, said, monkeypatch, where):
    """Jobs beside each other, as of two branches: the later one waits instead of leaving hosts out."""
    monkeypatch.setattr(locks, "PAUSE", 0.1)
    said("deploy", "shop", "1.0", "--host", "web1", "--no-wait")
    first, words = Deployment.objects.get(), ("deploy", "shop", "3.0", *where, "--no-wait", "--lock-timeout")
    status, _, errors = said(*words, "0.3")
    assert status == 4 and "locked by" in errors and "Waiting for it" in errors
    assert Deployment.objects.count() == 1
    ending = threading.Timer(1, lambda: (end_all(first, OperationStatus.SUCCEEDED), connection.close()))
    ending.start()
    status, _, errors = said(*words, "20")
    ending.join()
    made = Deployment.objects.latest("pk")
    assert (status, made.dest_version.version) == (0, "3.0"), errors
    assert made.operations.filter(host__hostname="web1").exists()


def test_causes_are_listed_and_one_is_retried(fleet, said):
    said("deploy", "shop", "3.0", "--no-wait")
    made = Deployment.objects.get()
    end(made, ["no space left", "no space left", "no licence"])
    status, output, errors = said("causes", str(made.pk))
    first, _, second, _ = output.splitlines()
    assert "hosts: 2" in first and "no space" in first and "hosts: 1" in second and "no licence" in second
    status, _, errors = said("retry", str(made.pk), "--cause", second.split()[0], "--no-wait")
    assert (status, len(fleet.locked())) == (0, 1), errors


def test_stays_within_an_environment(fleet, said):
    staging = Environment.objects.create(name="staging")
    production = Environment.objects.create(name="production")
    Asset.objects.filter(hostname="web3").update(environment=production)
    Asset.objects.exclude(hostname="web3").update(environment=staging)
    Asset.objects.filter(hostname="web2").update(environment=None)
    status, _, errors = said("deploy", "shop", "3.0", "--no-environment", "--no-wait")
    assert (status, fleet.locked()) == (0, {"web2"}), errors
    let_go()
    Asset.objects.filter(hostname="web2").update(environment=staging)
    status, _, errors = said("deploy", "shop", "3.0", "--no-wait")
    assert status == Exit.USAGE_ERROR and "the targets are in production, staging" in errors
    for words, hosts in (
        (("--environment", "staging"), "web1 web2"),
        (("--environment", "production"), "web3"),
        (("--environment", "staging", "--host", "web1"), "web1"),
        (("--environment", "staging", "--label", "zone"), "web1 web2"),
    ):
        status, _, errors = said("deploy", "shop", "3.0", *words, "--no-wait")
        assert (status, fleet.locked()) == (0, set(hosts.split())), (words, errors)
        let_go()
    for words in (("--environment", ""), ("--environment", "nowhere"), ("--environment", "staging", "--host", "web3")):
        status, _, errors = said("deploy", "shop", "3.0", *words, "--no-wait")
        assert status == Exit.USAGE_ERROR and not fleet.locked(), (words, errors)


def test_the_deployments_of_an_upgrade_stay_within_one_together(fleet, said):
    """One for each version that runs: what runs in production alone is not upgraded beside staging."""
    Asset.objects.filter(hostname="web3").update(environment=Environment.objects.create(name="production"))
    on_web3 = MicroServiceInstance.objects.select_related("version").get(host__hostname="web3")
    older = on_web3.version.microservice.versions.order_by("pk").first()
    MicroServiceInstance.objects.filter(pk=on_web3.pk).update(version=older)
    status, _, errors = said("upgrade", "shop", "3.0", "--no-wait")
    assert status == Exit.USAGE_ERROR and "no environment, production" in errors, errors
    status, _, errors = said("upgrade", "shop", "3.0", "--environment", "production", "--no-wait")
    assert (status, fleet.locked()) == (0, {"web3"}), errors
