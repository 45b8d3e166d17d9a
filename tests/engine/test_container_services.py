"""Container services on a real engine: the commands that are filled in, run by a host as a deployment runs them."""

import json
import os
import threading
import urllib.request
from pathlib import Path

import pytest

from microservice.catalog.container_commands import commands
from microservice.catalog.containers import Container, errors
from tests.lab import base_image, image_registry
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import free_port

from .host import Host

PASSWORD = "correct horse 'battery'\nstaple"
SERVES = ["/bin/busybox", "sh", "-c", "echo serving; exec /bin/busybox httpd -f -p 127.0.0.1:$PORT -h /www"]
BREAKS = ["/bin/busybox", "sh", "-c", "echo cannot open the database; exit 3"]
WEB = Container(
    variables=("PORT", "DB_PASSWORD"),
    options=("--network=host",),
    stop_seconds=0,
    check="url",
    check_value="http://127.0.0.1:$PORT/",
)


@pytest.fixture(scope="module")
def images(docker_engine, tmp_path_factory):
    """Yield references by digest: versions that serve their name, that end at once, and that cannot be started."""
    if not image_registry.installed():
        pytest.skip(image_registry.MISSING)
    busybox = base_image.busybox().read_bytes()
    with ImageRegistry(tmp_path_factory.mktemp("registry")) as registry:
        found = {}
        for version, program in (("v1", SERVES), ("v2", SERVES), ("broken", BREAKS), ("none", ["/no/such"])):
            files = {"bin/busybox": busybox, "bin/sh": busybox, "www/index.html": version.encode()}
            digest = registry.push("team/shop", version, files, config={"Cmd": program})
            found[version] = f"{registry.host}/team/shop@{digest}"
        yield found
    for each in docker_engine.containers():
        docker_engine.ask("DELETE", f"/containers/{each['Id']}?force=1")


class Site:
    """A host with a container service. `spec` is what a deployment of it has."""

    def __init__(self, root: Path, engine, images: dict[str, str], instance: int = 7, shell: str = "dash"):
        root.mkdir(exist_ok=True)
        self.host, self.engine = Host(root, shell), engine
        self.host.port, self.host.instance = free_port(), instance
        for version, reference in images.items():
            self.host.image(version, reference)

    def go(self, *words, container: Container = WEB, **more):
        assert errors(container) == []
        texts = {name.removesuffix("_command"): text for name, text in commands(container).items()}
        environment = {"DOCKER_HOST": self.engine.socket_url, "DB_PASSWORD": PASSWORD}
        return self.host.carry_out(*words, **texts, environment=environment, **{"check_timeout": 4, **more})

    def serves(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.host.port}/", timeout=5) as answer:
            return answer.read().decode()

    def containers(self) -> list[dict]:
        label = f"{self.host.folder}"
        return [each for each in self.engine.containers() if each["Labels"].get("deployer.folder") == label]


@pytest.fixture(params=["dash", pytest.param("busybox", marks=pytest.mark.slow)])
def site(request, tmp_path, docker_engine, images):
    made = Site(tmp_path / "site", docker_engine, images, shell=request.param)
    yield made
    for each in made.containers():
        docker_engine.ask("DELETE", f"/containers/{each['Id']}?force=1")
    made.host.end()


@pytest.mark.slow
def test_installs_upgrades_reverts_and_deletes(site):
    assert (done := site.go("install", None, "v1")).end.result == "done", done.output
    (container,) = site.containers()
    assert (container["Names"], site.serves()) == (["/shop-7"], "v1")
    assert container["Labels"]["deployer.version"] == "v1"
    about = site.engine.asked("GET", f"/containers/{container['Id']}/json")
    assert about["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert f"DB_PASSWORD={PASSWORD}" in about["Config"]["Env"]
    assert site.go("upgrade", "v1", "v2").end.result == "done" and site.serves() == "v2"
    broken = site.go("upgrade", "v2", "broken")
    assert broken.end.result == "undone" and site.serves() == "v2"
    assert b"the container of broken: Restarting" in broken.output and b"cannot open the database" in broken.output
    assert site.go("revert", "v2", "v1").end.result == "done" and site.serves() == "v1"
    assert len(site.containers()) == 1
    assert site.go("delete", "v1", None).end.result == "done" and not site.containers()


def test_nothing_of_another_instance_is_touched(site, tmp_path, images):
    """Of two installations on one engine the instances may have the same number, and of one the same folder's name."""
    other = Site(tmp_path / "other", site.engine, images, instance=8)
    same = Site(tmp_path / "same", site.engine, images, instance=7)
    try:
        assert site.go("install", None, "v1").end.result == "done"
        assert other.go("install", None, "v2").end.result == "done"
        before = {each["Id"] for each in [*site.containers(), *other.containers()]}
        refused = same.go("install", None, "v2")
        assert refused.end.result == "undone" and b"already in use" in refused.output
        assert not same.containers()
        assert {each["Id"] for each in [*site.containers(), *other.containers()]} == before
        assert other.go("delete", "v2", None).end.result == "done" and site.serves() == "v1"
    finally:
        for one in (other, same):
            for each in one.containers():
                site.engine.ask("DELETE", f"/containers/{each['Id']}?force=1")
            one.host.end()


def test_a_failed_start_leaves_no_name_taken(site):
    """`docker run` may have made the container when it fails: neither the undo nor the retry stumbles over it."""
    assert site.go("install", None, "v1").end.result == "done"
    failed = site.go("upgrade", "v1", "none")
    assert failed.end.result == "undone" and b"no such file" in failed.output
    assert site.serves() == "v1"
    assert site.go("upgrade", "v1", "v2").end.result == "done" and site.serves() == "v2"


def test_start_takes_the_place_of_what_is_left(site):
    """Of a run that died between `docker run` and its line in the journal, for example."""
    assert site.go("install", None, "v1").end.result == "done"
    (before,) = site.containers()
    assert site.go("install", None, "v1").end.result == "done"
    (after,) = site.containers()
    assert before["Id"] != after["Id"] and site.serves() == "v1"


def test_secrets_are_in_no_argument_list_and_no_output(site):
    seen, over = set(), threading.Event()

    def look() -> None:
        while not over.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        call = site.go("install", None, "v1")
    finally:
        over.set()
        watcher.join()
    assert call.end.result == "done"
    assert any(b"--env\0DB_PASSWORD" in line for line in seen), "the start was not seen"
    assert not [line for line in seen if b"battery" in line]
    assert b"battery" not in call.output and "battery" not in json.dumps(site.containers())
    assert not [event for event in call.events if "battery" in repr(event)]


@pytest.mark.parametrize(
    ("kind", "value", "passes"),
    [
        ("running", "", True),
        ("port", "$PORT", True),
        ("port", "9", False),
        ("command", 'test -n "$DB_PASSWORD" && test -e /www', True),
        ("command", "false", False),
    ],
)
def test_checks(site, kind, value, passes):
    container = Container(
        variables=("PORT", "DB_PASSWORD"), options=("--network=host",), stop_seconds=0, check=kind, check_value=value
    )
    call = site.go("install", None, "v1", container=container, check_timeout=8 if passes else 1)
    assert call.end.result == ("done" if passes else "undone"), call.output
