"""Steps of a build of an image: the service, its build by this process, and what a container of the image prints."""

import json

from access.secrets import Secret
from builds import build_requests, execution
from builds.models import Build
from integrations.docker import images
from integrations.docker.engine import connect
from integrations.images.credentials import credentials_of
from integrations.images.reference import parse
from integrations.models import Setting
from integrations.registry import configured
from microservice.models import MicroServiceVersion
from tests import factories

from .steps import ANN, pending

USER, WORD = "robot$ci", "canary of the registry"


def save_settings(engine, registry, **more) -> None:
    """Save an engine and a registry as the settings. `more`: of the engine."""
    certificate, key = engine.client
    tls = {"ca": engine.ca, "client_cert": certificate, "client_key": key}
    document = {
        "docker": {"url": engine.url, "network": "none", **tls, **more},
        "registry": {"url": registry.url, "project": "team", "user": USER, "password": WORD},
    }
    Setting.objects.create(document=Secret(json.dumps(document)))


def push_base(registry) -> str:
    """Push the busybox of the configured engine, and return its reference."""
    name = f"{registry.host}/base"
    engine = connect(configured("docker"))
    images.tag(engine, "base:1", name, "1")
    auth = credentials_of(configured("registry"), parse(f"{name}:1")).x_registry_auth
    images.push(engine, name, "1", auth=auth)
    return f"{name}:1"


def built(name: str = "1.0", **more) -> tuple[MicroServiceVersion, Build]:
    version = pending(factories.MicroService.objects.get(name="shop"), name)
    build_requests.start(ANN, version, **more)
    execution.work()
    version.refresh_from_db()
    return version, Build.objects.filter(version=version).first()


def service(recipe: dict, **more):
    return factories.service("shop", build_orig="image", recipe=recipe, **more)


def run(engine, image: str, *words: str) -> str:
    done = engine.command_line("run", "--rm", "--network", "none", image, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout
