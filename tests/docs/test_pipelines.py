"""The jobs of docs/ci, as the page *Pipelines* shows them to copy: each runs on a machine that has Python, and fails or
succeeds with its deployment."""

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from django.contrib.auth import get_user_model
from django.test import Client

from access.secrets import Secret
from access.tokens import make_token
from console.queries.pipelines import FILES, IMAGE_FILES, install_options, pipeline
from integrations.models import Setting
from microservice.models import Deployment, MicroService, MicroServiceVersion
from microservice.status import BuildStatus
from tests.lab import image_registry
from tests.lab.fleet import Fleet
from tests.lab.image_registry import ImageRegistry
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


def parsed(system: str, text: str) -> tuple[str, str]:
    """Return the address that a job sets and its shell code, as the CI system reads them."""
    if system == "jenkins":
        code = "\n".join(line.strip() for line in text.partition("sh '''\n")[2].partition("'''")[0].splitlines())
        return re.search(r"DEPLOYCTL_URL = '(.*?)'", text)[1], code
    job = yaml.safe_load(text)
    if system == "gitlab":
        lines = [*job.get("push", {}).get("script", ()), *job["deploy"]["script"]]
        if image := job.get("variables", {}).get("IMAGE"):
            lines.insert(0, f'IMAGE="{image}"')
        return job["deploy"]["variables"]["DEPLOYCTL_URL"], "\n".join(lines)
    job = job["jobs"]["deploy"]
    image = job["env"].get("IMAGE", "").replace("${{ github.sha }}", "$GITHUB_SHA")
    return job["env"]["DEPLOYCTL_URL"], (f'IMAGE="{image}"\n' if image else "") + job["steps"][1]["run"]


@pytest.fixture
def web(environment, tmp_path):
    with Web(environment, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout with one commit and a build."""
    folder = tmp_path / "checkout"
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "app").write_text("#!/bin/sh\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    dates = {"GIT_COMMITTER_DATE": WHEN, "GIT_AUTHOR_DATE": WHEN}
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env={**os.environ, **dates})
    return folder


@pytest.fixture
def shown(web, settings):
    """Return `shown(system)`: the environment and the shell code of the job that the page has to copy."""
    settings.PUBLIC_URL = web.url
    ann = get_user_model().objects.create(username="ann", is_superuser=True)
    token = make_token(ann, "ci", ["read", "publish", "deploy"])[1]
    browser = Client()
    browser.force_login(ann)

    def show(system: str, **chosen: str) -> tuple[dict[str, str], str]:
        page = browser.get("/pipelines/", {"service": "shop", "system": system, **chosen}).content.decode()
        text = html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1])
        assert text == html.unescape(re.search(r'data-copies="([^"]*)"', page)[1])
        url, code = parsed(system, text)
        return {"DEPLOYCTL_URL": url, "DEPLOYCTL_TOKEN": token, **SET_BY[system]}, code

    return show


@pytest.fixture
def job(shown, checkout, tmp_path):
    """Return `job(system)`, which runs what the page shows in a checkout, with nothing of this machine's but Python."""
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "python3").symlink_to(sys._base_executable)

    def run(system: str, more: Mapping[str, str] = MappingProxyType({}), **chosen: str) -> subprocess.CompletedProcess:
        given, code = shown(system, **chosen)
        known = {"PATH": f"{bare}:/usr/bin:/bin", "HOME": str(tmp_path), **given, **more}
        command = ["sh", "-eu", "-c", code]
        return subprocess.run(command, cwd=checkout, env=known, capture_output=True, text=True, timeout=200)

    return run


def simple_fleet(hosts) -> Fleet:
    """Return a service on hosts whose commands take any package."""
    fleet = Fleet(hosts, versions=1)
    fleet.service.start_command = fleet.service.stop_command = fleet.service.check_command = "true"
    fleet.service.save()
    return fleet


@SYSTEMS
def test_job_publishes_and_deploys_and_may_be_retried(job, sshds, worker, system):
    worker()
    simple_fleet(sshds(2)).install(0)
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


def test_job_runs_in_a_container_with_python_alone(shown, docker_engine, checkout, sshds, worker):
    """A busybox, this machine's Python and the libraries that it needs; no user, no home, no files of anyone."""
    worker()
    simple_fleet(sshds(1)).install(0)
    python = Path(sys._base_executable).resolve()
    parts = {str(python.parents[1]), "/lib", "/lib64", "/usr/lib"}
    words = [word for part in sorted(parts) if Path(part).exists() for word in ("-v", f"{part}:{part}:ro")]
    given, code = shown("gitlab")
    known = {"PATH": f"{python.parent}:/bin", **given}
    words += [word for name, value in known.items() for word in ("-e", f"{name}={value}")]
    words += ["-v", f"{checkout}:/builds", "-w", "/builds", "--network", "host", "--rm"]
    done = docker_engine.command_line("run", *words, "base:1", "sh", "-eu", "-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Deployment.objects.latest("pk").dest_version.ref == BRANCH


@SYSTEMS
def test_first_job_installs_and_later_ones_deploy(job, sshds, worker, system):
    """Of one copied job: on the hosts with the label of the page."""
    worker()
    fleet = simple_fleet(sshds(2))
    for asset in fleet.assets:
        asset.labels = {"rack": "row 4"}
        asset.save()
    done = job(system, label="'rack=row 4'")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row.action for row in Deployment.objects.all()] == ["install"]
    assert fleet.service.instances.filter(version__ref=BRANCH, locked=False).count() == 2
    again = job(system, label="'rack=row 4'")
    assert again.returncode == 0 and "is there already" in again.stdout, again.stdout + again.stderr
    fleet.service.instances.update(version=fleet.versions[0])
    assert job(system, label="'rack=row 4'").returncode == 0
    assert [row.action for row in Deployment.objects.order_by("pk")] == ["install", "deploy"]


@pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)
@SYSTEMS
def test_job_pushes_an_image_and_deploys_it(job, docker_engine, checkout, sshds, worker, tmp_path, system):
    """Run again, it takes the image that is there: what it would build now has another digest."""
    worker()
    fleet = simple_fleet(sshds(1))
    fleet.install(0)
    fleet.service.environment = {"DOCKER_HOST": docker_engine.socket_url}  # of the commands on the host
    fleet.service.save()
    (tmp_path / "bin" / "docker").symlink_to(shutil.which("docker"))
    (checkout / "Dockerfile").write_text("FROM base:1\nCOPY build /app\n")
    with ImageRegistry(tmp_path / "registry", users={"ci": "word"}) as registry:
        fields = {"url": registry.url, "user": "ci", "password": "word"}
        Setting.objects.create(document=Secret(json.dumps({"registry": fields})))
        more = {"DOCKER_HOST": docker_engine.socket_url, "DOCKER_BUILDKIT": "0", "REGISTRY_USER": "ci"}
        more |= {"REGISTRY_PASSWORD": "word", "REGISTRY_USR": "ci", "REGISTRY_PSW": "word"}
        done = job(system, more, kind="image")
        assert done.returncode == 0, done.stdout + done.stderr
        version = MicroServiceVersion.objects.latest("pk")
        assert version.image_tag == f"{registry.host}/shop:{COMMIT}" and version.ref == BRANCH
        assert Deployment.objects.latest("pk").dest_version == version
        (checkout / "build" / "app").write_text("other\n")
        again = job(system, more, kind="image")
        assert again.returncode == 0 and "is there already" in again.stdout, again.stdout + again.stderr


def test_first_job_of_a_service_says_what_comes_first(job):
    MicroService.objects.create(name="shop")
    done = job("gitlab")
    assert done.returncode == 4 and "shop is not installed on any host" in done.stderr, done.stderr
    assert MicroServiceVersion.objects.get().status == BuildStatus.SUCCESS


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
@pytest.mark.parametrize("image", ["", "registry.acme.test/team/cart-api"])
def test_installation_and_service_are_filled_in(system, image):
    text = (ROOT / "docs" / "ci" / (IMAGE_FILES if image else FILES)[system]).read_text()
    shown = pipeline(system, "https://deploy.acme.test/", "cart-api", image).text
    assert "https://deploy.acme.test" in shown and "example.com" not in shown and " shop " not in shown
    assert shown.count(" cart-api ") == text.count(" shop ") == 2
    assert "/deployctl.pyz" in shown and "//deployctl.pyz" not in shown
    assert shown.count("registry.acme.test/team/cart-api:") == bool(image)


@pytest.mark.pure
@SYSTEMS
@pytest.mark.parametrize("image", ["", "registry.acme.test/shop"])
def test_options_of_an_install_are_read_as_they_are_meant(system, image):
    install = install_options({"rack": "row 4, left", "canary": None}, "")
    _, code = parsed(system, pipeline(system, "https://x.test", "cart", image, install).text)
    line = next(line for line in code.splitlines() if " deploy cart " in line)
    assert shlex.split(line)[5:8] == ["--install", "--label=rack=row 4, left", "--label=canary"]
    assert install_options({}, "Europe + 1") == "--install --group='Europe + 1' "
    assert install_options({}, "") == ""


@pytest.mark.pure
@pytest.mark.parametrize("text", ["a: b", "a #b", "a'b", 'a"b', "$(id)", "${{ x }}", "a\\b", "a\nb", "`id`", "a;b"])
def test_what_a_system_would_read_is_not_written_into_a_job(text):
    assert install_options({"rack": text}, "") is None and install_options({}, text) is None
