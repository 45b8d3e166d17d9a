"""A host with a real engine and a real registry that asks for a sign-in: the commands are those of the form."""

import base64
import json

import pytest

from deployer.engine.journal import Kind
from microservice.catalog.container_commands import commands
from microservice.catalog.containers import Container
from tests.lab import base_image, docker, image_registry

from .host import Host

WHY_NOT = docker.why_not() or ("" if image_registry.installed() else image_registry.MISSING)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
USER, PASSWORD = "robot$ci", "canary-5d2e81"
SLEEPS = {"Entrypoint": ["/bin/busybox", "sleep", "1000"], "Env": ["PATH=/bin"]}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with image_registry.ImageRegistry(tmp_path_factory.mktemp("registry"), users={USER: PASSWORD}) as registry:
        busybox = base_image.busybox().read_bytes()
        for digit in range(1, 6):
            config = SLEEPS if digit != 3 else {"Entrypoint": ["/nothing"]}
            registry.push(
                "shop/web",
                str(digit),
                {"bin/busybox": busybox, "bin/sh": busybox, "version": str(digit).encode()},
                config=config,
            )
        yield registry


class Shop:
    """A service on a host, as containers."""

    def __init__(self, host: Host, dockerd, registry, name: str = "shop", instance: int = 7):
        self.host, self.engine, self.name = host, dockerd, name
        self.host.instance = instance
        self.folder = host.base / name
        self.sign_in = json.dumps(
            {"auths": {registry.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
        )
        for digit in range(1, 6):
            digest = registry.ask("HEAD", f"/v2/shop/web/manifests/{digit}", accept=image_registry.MANIFEST)
            host.image(f"v{digit}", f"{registry.host}/shop/web@{digest[1]['docker-content-digest']}")

    def do(self, action: str, old: str | None, new: str | None, **changes):
        made = commands(Container(options=("--network", "host"), stop_seconds=0, check="command", check_value=":"))
        spec = {
            "name": self.name,
            **{name: made[f"{name}_command"] for name in ("start", "stop", "check")},
            "check_timeout": 10,
            "environment": {"DOCKER_HOST": self.engine.socket_url},
            "keep_releases": 2,
            **changes,
        }
        return self.host.carry_out(action, old, new, sign_in=self.sign_in, **spec)

    def runs(self) -> dict[str, str]:
        """The names of the engine's containers with the image of each, without those that ended."""
        found = self.engine.asked("GET", "/containers/json")
        return {each["Names"][0].lstrip("/"): each["Image"].rpartition("@")[2] for each in found}

    def images(self) -> set[str]:
        found = self.engine.asked("GET", "/images/json")
        names = {name for each in found for name in each["RepoDigests"] or ()}
        return names & set(self.host.images.values())


@pytest.fixture
def shop(host, docker_engine, registry):
    shop = Shop(host, docker_engine, registry)
    yield shop
    for each in docker_engine.containers():
        if "deployer.instance" in each["Labels"]:
            docker_engine.ask("DELETE", f"/containers/{each['Id']}?force=1")
    for reference in shop.images():
        docker_engine.command_line("image", "rm", "--force", reference)


def digest(shop: Shop, version: str) -> str:
    return shop.host.images[version].partition("@")[2]


def test_whole_life_of_a_container_service(shop):
    """Install, upgrade, a broken image undone, a revert to what is there, a release pruned, a delete."""
    done = shop.do("install", None, "v1")
    assert done.end.result == "done", (done.events, done.output)
    assert shop.runs() == {"shop-7": digest(shop, "v1")}
    assert b"Downloaded newer image" in done.output and PASSWORD.encode() not in done.output
    assert shop.do("upgrade", "v1", "v2").end.result == "done"
    assert shop.runs() == {"shop-7": digest(shop, "v2")}

    broken = shop.do("upgrade", "v2", "v3")
    assert (broken.end.result, failed(broken).step) == ("undone", "start"), broken.output
    assert "/nothing" in str(failed(broken).why)
    assert shop.runs() == {"shop-7": digest(shop, "v2")}, "the old container is back"

    back = shop.do("revert", "v2", "v1")
    assert back.end.result == "done", back.output
    assert shop.runs() == {"shop-7": digest(shop, "v1")}
    assert b"Pull" not in back.output

    assert shop.do("upgrade", "v1", "v4").end.result == "done"
    assert shop.images() == {shop.host.images[version] for version in ("v1", "v4")}, "those of the two that are kept"
    assert shop.do("delete", "v4", None).end.result == "done"
    assert (shop.runs(), shop.images()) == ({}, set())
    kept = b"".join(path.read_bytes() for path in shop.folder.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in kept and base64.b64encode(f"{USER}:{PASSWORD}".encode()) not in kept


def failed(call):
    return next(event for event in call.events if event.kind is Kind.FAILED)


def test_no_sign_in_is_denied_before_the_stop(shop):
    assert shop.do("install", None, "v1").end.result == "done"
    before = shop.engine.containers()[0]["Id"]
    shop.sign_in = ""
    refused = shop.do("upgrade", "v1", "v2")
    assert (refused.end.result, failed(refused).step) == ("undone", "pull")
    assert "no basic auth credentials" in str(failed(refused).why), failed(refused).why
    assert [each["Id"] for each in shop.engine.containers()] == [before]
    assert shop.do("install", None, "v1").end.result == "done", "what is there needs no sign-in"


def test_two_hosts_on_one_engine(shop, tmp_path, docker_engine, registry):
    """Two rows of one machine, and services whose names begin alike: each touches its own container alone."""
    other = Host(tmp_path / "other")
    others = [Shop(other, docker_engine, registry, instance=8), Shop(other, docker_engine, registry, "shop-7", 1)]
    try:
        assert shop.do("install", None, "v1").end.result == "done"
        for one, number in zip(others, (8, 1), strict=True):
            other.instance = number
            done = one.do("install", None, "v1")
            assert done.end.result == "done", done.output
        assert set(shop.runs()) == {"shop-7", "shop-8", "shop-7-1"}
        for old, new in (("v1", "v2"), ("v2", "v4"), ("v4", "v5")):
            assert shop.do("upgrade", old, new).end.result == "done"
        assert shop.runs() == {
            "shop-7": digest(shop, "v5"),
            "shop-8": digest(shop, "v1"),
            "shop-7-1": digest(shop, "v1"),
        }
        assert shop.host.images["v1"] in shop.images(), "others run it"
        assert shop.host.images["v2"] not in shop.images()
        assert shop.do("delete", "v5", None).end.result == "done"
        assert set(shop.runs()) == {"shop-8", "shop-7-1"}
    finally:
        other.end()


def test_engine_that_is_away(shop):
    assert shop.do("install", None, "v1").end.result == "done"
    away = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    refused = shop.do("upgrade", "v1", "v2", environment=away)
    assert (refused.end.result, failed(refused).step) == ("undone", "pull")
    assert "Cannot connect to the Docker daemon" in str(failed(refused).why)
    assert shop.runs() == {"shop-7": digest(shop, "v1")}
