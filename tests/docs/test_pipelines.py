"""The jobs of docs/ci, as the page *Pipelines* shows them to copy: each runs on a machine that has Python, and fails or
succeeds with its deployment."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.tokens import make_token
from console.queries.pipelines import FILES, pipeline
from microservice.models import Deployment, MicroServiceVersion
from microservice.status import BuildStatus
from tests.lab.fleet import Fleet
from tests.lab.web import Web

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
WHEN, COMMIT, BRANCH = "2026-07-14T10:09:10+02:00", "1a2b3c4d5e6f", "fix(cart)/#4'x'$(id)"
SET_BY = {
    "gitlab": {"CI_COMMIT_REF_NAME": BRANCH, "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_TIMESTAMP": WHEN},
    "github": {"GITHUB_REF_NAME": BRANCH, "GITHUB_SHA": COMMIT},
    "jenkins": {"BRANCH_NAME": BRANCH, "GIT_COMMIT": COMMIT},
}
SYSTEMS = pytest.mark.parametrize("system", FILES)


def script(system: str, text: str) -> str:
    """Return the shell code in a job, without the file's own syntax around it."""
    if system == "gitlab":
        lines = text.partition("  script:\n")[2].splitlines()
        assert all(line.startswith("    - ") for line in lines)
        return "\n".join(line.removeprefix("    - ") for line in lines)
    begin, end = {"github": ("run: |\n", "\0"), "jenkins": ("sh '''\n", "'''")}[system]
    return "\n".join(line.strip() for line in text.partition(begin)[2].partition(end)[0].splitlines())


@pytest.fixture
def web(environment, tmp_path):
    with Web(environment, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def job(web, tmp_path):
    """Return `job(system)`, which runs what the page shows in a checkout, with nothing of this machine's but Python."""
    ann = get_user_model().objects.create(username="ann", is_superuser=True)
    token = make_token(ann, "ci", ["read", "publish", "deploy"])[1]
    browser = Client()
    browser.force_login(ann)
    bare, checkout = tmp_path / "bin", tmp_path / "checkout"
    bare.mkdir()
    (bare / "python3").symlink_to(sys._base_executable)
    (checkout / "build").mkdir(parents=True)
    (checkout / "build" / "app").write_text("#!/bin/sh\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(checkout)]
    subprocess.run([*git, "init", "-q"], check=True)
    dates = {"GIT_COMMITTER_DATE": WHEN, "GIT_AUTHOR_DATE": WHEN}
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env={**os.environ, **dates})

    def run(system: str) -> subprocess.CompletedProcess:
        page = browser.get("/pipelines/", {"service": "shop", "system": system}).content.decode()
        shown = html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1])
        known = {
            "PATH": f"{bare}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "DEPLOYCTL_URL": web.url,
            "DEPLOYCTL_TOKEN": token,
            **SET_BY[system],
        }
        command = ["sh", "-eu", "-c", script(system, shown)]
        return subprocess.run(command, cwd=checkout, env=known, capture_output=True, text=True, timeout=200)

    return run


@SYSTEMS
def test_job_publishes_and_deploys_and_may_be_retried(job, sshds, worker, system):
    fleet = Fleet(sshds(2), versions=1)
    worker()
    fleet.install(0)
    fleet.service.start_command = "true"  # the package of the job is not the fleet's
    fleet.service.stop_command = fleet.service.check_command = "true"
    fleet.service.save()
    done = job(system)
    assert done.returncode == 0, done.stdout + done.stderr
    version = MicroServiceVersion.objects.latest("pk")
    assert version.version == "20260714080910-fix-cart-4-x-id-1a2b3c4d"
    assert (version.ref, version.status) == (BRANCH, BuildStatus.SUCCESS)
    deployment = Deployment.objects.latest("pk")
    assert (deployment.action, deployment.status, deployment.dest_version) == ("deploy", "succeeded", version)
    again = job(system)
    assert again.returncode == 0 and "is there already" in again.stdout, again.stdout + again.stderr
    assert Deployment.objects.latest("pk") == deployment


def test_job_fails_with_its_deployment_and_says_why(job, sshds, worker):
    fleet = Fleet(sshds(1), versions=1)
    worker()
    fleet.install(0)
    fleet.service.start_command = "echo no licence for this host >&2; exit 9"
    fleet.service.save()
    done = job("gitlab")
    assert done.returncode == 1
    assert "no licence for this host" in done.stdout + done.stderr


@SYSTEMS
def test_refusal_is_shown_whole(job, system):
    """The service does not exist: the sentence, the code and the request's id, so that it is found in the log."""
    done = job(system)
    assert done.returncode == 2 and "not_found" in done.stderr and "request " in done.stderr, done.stderr


@pytest.mark.pure
@SYSTEMS
def test_installation_and_service_are_filled_in(system):
    text = (ROOT / "docs" / "ci" / FILES[system]).read_text()
    shown = pipeline(system, "https://deploy.acme.test/", "cart-api").text
    assert "https://deploy.acme.test" in shown and "example.com" not in shown and " shop " not in shown
    assert shown.count(" cart-api ") == text.count(" shop ") == 2
    assert "/deployctl.pyz" in shown and "//deployctl.pyz" not in shown
