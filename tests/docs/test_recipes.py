"""docs/api.md and docs/images.md: a shell runs each recipe as it stands there, against real processes."""

import json
import os
import re
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from access.callers import SYSTEM
from access.secrets import Secret
from access.tokens import make_token
from asset.models import Asset
from builds import build_requests
from builds.models import Build
from callbacks import signing
from callbacks.models import Callback
from deployctl.naming import MAX_LENGTH, version_name
from integrations.models import Setting
from messages.rendering import literal
from microservice.catalog import links
from microservice.models import NAME_PATTERN, Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus, DeploymentStatus
from tests import factories
from tests.docs.recipe_shell import run_recipe
from tests.lab import image_registry
from tests.lab.fleet import CHECK, Fleet
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import wait_until
from tests.lab.web import Web
from tests.microservice.deployments import requests

ROOT = Path(__file__).resolve().parents[2]
WHEN = "2026-07-14T10:09:10+02:00"
pytestmark = pytest.mark.django_db(transaction=True)


def recipe(title: str) -> str:
    """Return the first code block below a heading of docs/api.md."""
    return recipes(title)[0]


def recipes(title: str, page: str = "api.md") -> list[str]:
    text = (ROOT / "docs" / page).read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def web(environment, tmp_path, settings):
    with Web(environment, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def shell(web, tmp_path):
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    token = make_token(user, "ci", ["read", "publish", "deploy"])[1]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "app").write_text("#!/bin/sh\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run(
        [*git, "commit", "-q", "--allow-empty", "-m", "x"],
        check=True,
        env={**os.environ, "GIT_COMMITTER_DATE": WHEN, "GIT_AUTHOR_DATE": WHEN},
    )

    def run(script: str, **more: str) -> str:
        return run_recipe(script, tmp_path, web.url, token, **more)

    return run


@pytest.mark.found("packages")
def test_publish_from_gitlab_ci_twice(shell, tmp_path):
    """As a job that is tried again does it: the archive is made again, of files with other times."""
    factories.service("shop")
    for number in range(2):
        os.utime(tmp_path / "build" / "app", (number, number))
        shell(
            recipe("Publish by one request"),
            CI_COMMIT_REF_NAME="@功能/#42",
            CI_COMMIT_SHA="1a2b3c4d5e6f",
            CI_COMMIT_TIMESTAMP=WHEN,
        )
    version = MicroServiceVersion.objects.get()
    assert (version.version, version.ref) == ("20260714080910-42-1a2b3c4d", "@功能/#42")
    assert version.status == BuildStatus.SUCCESS


@pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)
def test_publish_an_image_with_deployctl_and_with_curl(shell, tmp_path):
    factories.service("shop")
    with ImageRegistry(tmp_path / "registry") as registry:
        Setting.objects.create(document=Secret(json.dumps({"registry": {"url": registry.url}})))
        digest = registry.push("shop", "1.2")
        known = {"VERSION": "1.2", "REF": "@功能/#42", "IMAGE": f"{registry.host}/shop:1.2"}
        with_deployctl, with_curl = recipes("An image that a pipeline pushed", "images.md")
        push, publish, upgrade = with_deployctl.strip().splitlines()
        assert push == 'docker push "$IMAGE"' and upgrade.startswith("python -m deployctl upgrade shop")
        for script in (publish, with_curl):
            shell(script, **known)
    version = MicroServiceVersion.objects.get()
    assert (version.image, version.ref) == (f"{registry.host}/shop@{digest}", "@功能/#42")


NAMES = [
    "master",
    "feature/#42",
    "fix(cart)",
    "功能/支付",
    "@x",
    "a'b$(id)",
    "release/1.0",
    "-.x.-",
    "a" * 150,
    "é" * 60,
    "a/" * 60,
    "+_.",
    "x..y",
    "x-/-y",
    "1.0+build_7",
    "_private",
    "100%",
    "a\\b",
]


@pytest.mark.found("builds")
@pytest.mark.parametrize("ref", NAMES)
def test_shell_names_versions_like_the_product(ref):
    known = {"PATH": os.environ["PATH"], "REF": ref, "COMMIT": "0a1b2c3d4e5f", "TIME": WHEN}
    done = subprocess.run(
        ["sh", "-eu", "-c", recipe("Version names")], check=True, capture_output=True, text=True, env=known
    )
    made = version_name(ref, "0a1b2c3d4e5f", datetime.fromisoformat(WHEN))
    assert done.stdout.strip() == made
    assert len(made) <= MAX_LENGTH and re.match(NAME_PATTERN, made)


@pytest.mark.found("builds")
def test_build_failed_versions_again(shell):
    service = factories.service("shop", build_url="file:///nowhere", build_command="true")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    build_requests.end(build_requests.start(SYSTEM, version), BuildStatus.FAILED, literal("x"))
    done = []
    again, listing, cancel = recipe("Build a failed version again").splitlines()
    assert cancel.startswith("python -m deployctl builds cancel shop")
    thread = threading.Thread(target=lambda: done.append(shell(again)))
    thread.start()
    wait_until(lambda: Build.objects.count() == 2, 30, "the second attempt")
    assert "shop" in shell(listing)
    build_requests.end(Build.objects.first(), BuildStatus.SUCCESS)
    thread.join()
    assert "attempt 2 is success" in done[0]
    assert "failed" in shell("python -m deployctl versions attempts shop 1.0")


def test_be_told_when_a_build_ends(shell):
    factories.service("shop", build_url="file:///nowhere", build_command="true")
    shell(recipe("Be told when a build ends"), JOB_TOKEN="hush")
    callback = Callback.objects.get()
    assert (callback.url, callback.returned) == ("https://ci.example.org/done", '"job 7"')
    assert json.loads(callback.headers.reveal()) == {"Authorization": "Bearer hush"}


@pytest.mark.slow
def test_upgrade_wait_and_retry(shell, sshds, worker):
    fleet = Fleet(sshds(1), versions=3)
    worker()
    fleet.install(0)
    shell(recipe("Upgrade and wait"))
    fleet.agrees(1)
    fleet.service.check_command = "false"
    fleet.service.save()
    failed = fleet.go("upgrade", 1, 2)
    assert failed.status == DeploymentStatus.FAILED
    fleet.service.check_command = CHECK
    fleet.service.save()
    shell(recipe("Retry what failed"), DEPLOYMENT=str(failed.pk))
    fleet.agrees(2)


def test_get_deployctl(shell, tmp_path):
    assert shell(recipe("Get deployctl")).startswith("deployctl ")


def test_publish_and_deploy_from_a_pipeline(shell, sshds, worker):
    fleet = Fleet(sshds(1), versions=1)
    worker()
    fleet.install(0)
    fleet.service.start_command = fleet.service.stop_command = fleet.service.check_command = "true"
    fleet.service.save()
    shell(recipe("Get deployctl"))
    shell(recipe("Publish and deploy from a pipeline"), BRANCH="@功能/#42", COMMIT="1a2b3c4d5e6f", TIME=WHEN)
    assert Deployment.objects.latest("pk").dest_version.version == "20260714080910-42-1a2b3c4d"


def test_deploy_a_version(shell, sshds, worker):
    fleet = Fleet(sshds(2), versions=2)
    worker()
    fleet.install(0)
    by_command, by_request = recipes("Deploy a version")
    output = shell(by_command)
    assert "h0" in output and "upgrade 1.0 → 2.0" in output and "batches: 1, 1" in output
    fleet.agrees(1)
    assert json.loads(shell(by_request))["already_there"]
    assert shell(recipe("Deploy one after the other")) == "shop 2.0 is there already.\n"
    shell(recipe("Revert a deployment"), DEPLOYMENT=str(Deployment.objects.latest("pk").pk))
    fleet.agrees(0)
    assert Deployment.objects.latest("pk").note == "loses orders"


def test_deploy_to_new_hosts(shell, sshds, worker):
    """The first run installs on one host and upgrades the other; the second one finds both there."""
    fleet = Fleet(sshds(2), versions=2)
    worker()
    fleet.ended(requests.install(SYSTEM, fleet.versions[0], [fleet.assets[0].pk]))
    by_command, by_request = recipes("Deploy to new hosts")
    shell(by_command)
    fleet.agrees(1)
    assert MicroServiceInstance.objects.get(host__hostname="h1").port == 8080
    assert shell(by_command) == "shop 2.0 is there already.\n"
    assert json.loads(shell(by_request, DEST=str(fleet.versions[1].pk)))["already_there"]


@pytest.mark.found("hosts")
def test_upgrade_some_hosts(shell, sshds, worker):
    fleet = Fleet(sshds(2), versions=3)
    worker()
    fleet.install(0)
    by_command, by_request = recipes("Upgrade some hosts")
    shell(by_command)
    fleet.agrees(1)
    output = shell(by_request, RUNS_NOW=str(fleet.versions[1].pk), DEST=str(fleet.versions[2].pk))
    fleet.ended(Deployment.objects.get(pk=json.loads(output)["id"]))
    fleet.agrees(2)


def test_set_a_secret(web, shell, tmp_path):
    factories.service("shop")
    key = "-----BEGIN PRIVATE KEY-----\n'quoted' \"too\"\n-----END PRIVATE KEY-----\n"
    (tmp_path / "tls.key").write_text(key)
    boss = get_user_model().objects.create_superuser("boss")
    output = shell(recipe("Set a secret"), DEPLOYCTL_TOKEN=make_token(boss, "boss", ["admin"])[1])
    assert "quoted" not in output and '"secrets": ["TLS_KEY"]' in output
    assert MicroService.objects.get().secrets.value("TLS_KEY").reveal() == key


def test_link_a_service_to_its_repository(web, shell):
    factories.service("shop")
    boss = get_user_model().objects.create_superuser("boss")
    shell(recipe("Link a service to its repository"), DEPLOYCTL_TOKEN=make_token(boss, "boss", ["admin"])[1])
    shop = MicroService.objects.get()
    assert links.repository(shop) == "https://git.example.com/store/shop" and shop.ci_url.endswith("/job/shop/")
    assert links.commit(shop, "1a2b3c4") == "https://git.example.com/store/shop/commit/1a2b3c4"


def test_receive_a_callback_and_check_its_signature():
    known: dict = {}
    exec(recipe("Receive a callback and check its signature"), known)
    secret, body = signing.new_secret(), b'{"type": "build.ended"}'
    headers = signing.headers(secret, "msg_1", int(time.time()), body)
    assert known["is_genuine"](secret, headers, body)
    assert not known["is_genuine"](secret, headers, body + b" ")
    assert not known["is_genuine"](signing.new_secret(), headers, body)
    assert not known["is_genuine"](secret, signing.headers(secret, "msg_1", int(time.time()) - 600, body), body)


def test_watch_a_deployment_live(shell):
    deployment = factories.running()
    factories.event(deployment)
    Deployment.objects.update(status=DeploymentStatus.SUCCEEDED)
    last = factories.event(deployment, "deployment", status="succeeded")
    assert f"id: {last.pk}\n" in shell(recipe("Watch a deployment live"), DEPLOYMENT=str(deployment.pk))


@pytest.mark.found("removal")
def test_archive_import_and_change_hosts(shell):
    service = factories.service("shop")
    old, new = factories.versions(service, 2)
    MicroServiceVersion.objects.filter(pk=old.pk).update(version="0.9", file_path="")
    one, two = (Asset.objects.create(hostname=f"web{number}", ip=f"10.0.0.{number}") for number in (1, 2))
    factories.instances(new, [one, two])
    admin = make_token(get_user_model().objects.get(username="ann"), "admin", ["read", "deploy", "admin"])[1]
    output = shell(recipe("Archive a host that is gone for good"), DEPLOYCTL_TOKEN=admin)
    assert "web1 archived" in output and "archived: the machine burned" in output
    assert list(MicroServiceInstance.objects.values_list("host", flat=True)) == [two.pk]
    output = shell(recipe("Import hosts from a file"), DEPLOYCTL_TOKEN=admin)
    assert "1 would be added, 0 unchanged" in output and "1 added" in output
    assert Asset.objects.get(hostname="web7").labels == {"zone": "eu", "rack": "4"}
    output = shell(recipe("Change an instance, delete a version"), DEPLOYCTL_TOKEN=admin)
    assert "port 8081" in output and "shop 0.9 deleted" in output
    assert MicroServiceInstance.objects.get().weight == 50
    assert not MicroServiceVersion.objects.filter(version="0.9").exists()
