"""deployctl publishes images that a pipeline pushed, with the real web server and a real registry."""

import json

import pytest

from access.secrets import Secret
from integrations.models import Setting
from microservice.models import MicroServiceVersion
from tests import factories
from tests.api.archives import GOOD
from tests.lab import image_registry
from tests.lab.image_registry import ImageRegistry

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING),
]


def test_publishes_an_image(ctl, tmp_path):
    factories.service("shop")
    with ImageRegistry(tmp_path / "registry") as registry:
        Setting.objects.create(document=Secret(json.dumps({"registry": {"url": registry.url}})))
        digest, tag = registry.push("shop", "1.0"), f"{registry.host}/shop:1.0"
        for _ in range(2):
            done = ctl("--json", "versions", "publish", "shop", "1.0", "--image", tag, "--ref", "main")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["image"] == f"{registry.host}/shop@{digest}"
        version = MicroServiceVersion.objects.get()
        assert (version.ref, version.image_tag) == ("main", tag)
        assert digest in ctl("versions", "list", "shop").stdout
        another = registry.push("shop", "1.0", {"hello": b"another"})
        moved = ctl("versions", "publish", "shop", "1.0", "--image", tag, "--ref", "main")
        assert moved.returncode == 4 and digest in moved.stderr and another in moved.stderr
        missing = ctl("versions", "publish", "shop", "2.0", "--image", f"{registry.host}/shop:2.0")
        assert missing.returncode == 2 and "manifest unknown" in missing.stderr


def test_shows_what_an_image_means(ctl, tmp_path):
    refused = ctl("images", "check", "registry.example.com/team/shop:1")
    assert refused.returncode == 4 and "/settings/#registry" in refused.stderr
    with ImageRegistry(tmp_path / "registry") as registry:
        digest = registry.push("team/shop", "1")
        Setting.objects.create(document=Secret(json.dumps({"registry": {"url": registry.url}})))
        done = ctl("images", "check", f"{registry.host}/team/shop:1")
        first, second = done.stdout.splitlines()
        assert first.startswith(f"{registry.host}/team/shop@{digest}  ") and second.strip() == "linux/amd64"
        assert ctl("images", "check", f"{registry.host}/team/none:1").returncode == 2


def test_a_package_or_an_image(ctl, tmp_path):
    package = tmp_path / "shop.tar.gz"
    package.write_bytes(GOOD)
    for words in ((), (str(package), "--image", "registry.example.com/shop:1.0")):
        done = ctl("versions", "publish", "shop", "1.0", *words)
        assert done.returncode == 2 and "either a package or --image" in done.stderr
