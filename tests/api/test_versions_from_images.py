"""Versions from images that a pipeline pushed, with a real registry."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from access.secrets import Secret
from callbacks.models import Delivery, EventType
from integrations.models import Setting
from microservice.models import MicroService, MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD
from tests.api.packages import files
from tests.callbacks.factories import create_callback
from tests.lab import image_registry
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import free_port

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING),
]
ADDRESS = "/services/shop/versions/"
USERS = {"ci": "password of ci"}


def configure(**registry) -> None:
    Setting.objects.create(document=Secret(json.dumps({"registry": registry})))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with ImageRegistry(tmp_path_factory.mktemp("registry"), users=USERS) as running:
        yield running


@pytest.fixture
def shop(registry, db):
    """Return a service; the registry is configured, and it has another name."""
    configure(url=registry.url, hosts=["registry.example.com"], user="ci", password=USERS["ci"])
    return factories.service("shop")


@pytest.fixture
def pushed(registry, request) -> str:
    """Return the reference of an image of this test's own."""
    name = request.node.name.partition("[")[0].replace("_", "-")
    registry.push(name, "1.0")
    return f"{registry.host}/{name}:1.0"


def post(api, image, version="1.0", **more):
    caller = more.pop("caller", None) or api("publish", "read")
    return caller.post(ADDRESS, {"version": version, "image": image, **more})


def pushed_again(registry, image) -> str:
    """Push another image by the same tag; return its digest."""
    name = image.partition("/")[2].partition(":")[0]
    return registry.push(name, "1.0", {"hello": b"another\n"})


def test_a_tag_becomes_a_digest(api, shop, registry, pushed, store):
    name = pushed.partition("/")[2].partition(":")[0]
    digest = registry.push(name, "1.0")
    create_callback("https://receiver.example/", events=[EventType.BUILD_ENDED.value])
    answer = post(api, pushed, ref="main")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    pinned = f"{registry.host}/{name}@{digest}"
    assert (body["image"], body["image_tag"], body["status_str"]) == (pinned, pushed, "success")
    assert body["image_url"] == f"https://{registry.host}/{name}"
    assert files(store) == [body["file_path"]]
    [message] = Delivery.objects.all()
    said = json.loads(message.body)["data"]["version"]
    assert {key: said[key] for key in ("image", "image_tag", "image_url")} == {
        key: body[key] for key in ("image", "image_tag", "image_url")
    }


def test_the_same_again_is_the_same_version(api, shop, registry, pushed, store):
    first = post(api, pushed)
    name, digest = pushed.partition("/")[2].partition(":")[0], first.json()["image"].partition("@")[2]
    for again in (pushed, f"registry.example.com/{name}:1.0", f"{registry.host}/{name}@{digest}"):
        answer = post(api, again)
        assert (answer.status_code, answer.json()) == (200, first.json())
    assert MicroServiceVersion.objects.count() == len(files(store)) == 1


def test_a_moved_tag_is_refused_with_both_digests(api, shop, registry, pushed):
    old = post(api, pushed).json()["image"]
    new = pushed_again(registry, pushed)
    answer = post(api, pushed)
    assert (answer.status_code, answer.json()["code"]) == (409, "package_exists")
    assert old in answer.json()["detail"] and new in answer.json()["detail"] and pushed in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/image"
    assert MicroServiceVersion.objects.get().image == old
    assert post(api, pushed, "1.1").json()["image"].endswith(new)


def test_a_version_with_a_package_stays_one(api, shop, pushed, store):
    version = api("publish", "read").post(ADDRESS, {"version": "1.0"}).json()
    api().put(f"{ADDRESS}{version['id']}/package", GOOD, content_type="application/gzip")
    answer = post(api, pushed)
    assert (answer.status_code, answer.json()["code"]) == (409, "package_exists")
    assert MicroServiceVersion.objects.get().image == ""


def test_a_pending_version_becomes_an_image(api, shop, pushed):
    api("publish", "read").post(ADDRESS, {"version": "1.0"})
    answer = post(api, pushed)
    assert (answer.status_code, answer.json()["status_str"]) == (200, "success")


@pytest.mark.parametrize("status", [BuildStatus.FAILED, BuildStatus.DUPLICATE])
def test_an_ended_build_takes_no_image(api, shop, pushed, status):
    MicroServiceVersion.objects.create(microservice=shop, version="1.0", status=status)
    answer = post(api, pushed, status=status.label)
    assert (answer.status_code, answer.json()["code"]) == (409, "build_ended")


@pytest.mark.parametrize("origin", MicroService.Origin)
def test_every_origin_takes_an_image(api, shop, pushed, origin):
    MicroService.objects.update(build_orig=origin)
    assert post(api, pushed).status_code == 201


def test_an_image_that_is_not_there(api, shop, registry, pushed, store):
    for missing in (
        pushed.replace(":1.0", ":9.9"),
        f"{registry.host}/nothing:1.0",
        pushed[:-4] + "@sha256:" + "0" * 64,
    ):
        answer = post(api, missing)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.content
        assert "manifest unknown" in answer.json()["detail"], answer.json()["detail"]
        assert answer.json()["errors"][0]["pointer"] == "/image"
    assert not MicroServiceVersion.objects.exists() and not files(store)


@pytest.mark.parametrize("image", ["", "a b", "Shop:1.0", "registry.example.com/shop@sha256:12", "x" * 600, "-/a"])
def test_what_names_no_image(api, shop, image):
    answer = post(api, image)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/image"


@pytest.mark.parametrize("image", ["nginx:1.27", "evil.example/shop:1.0", "127.0.0.1:1/shop:1.0"])
def test_another_registry_is_not_asked(api, shop, registry, image):
    answer = post(api, image)
    assert answer.status_code == 422
    assert registry.host in answer.json()["detail"] and "registry.example.com" in answer.json()["detail"]


def test_without_a_registry(api, shop, pushed):
    Setting.objects.all().delete()
    answer = post(api, pushed)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
    assert "/settings/#registry" in answer.json()["hint"]


def test_a_registry_that_is_away(api, shop):
    port = free_port()
    configure(url=f"http://127.0.0.1:{port}")
    answer = post(api, f"127.0.0.1:{port}/shop:1.0")
    assert (answer.status_code, answer.json()["code"]) == (503, "registry_unreachable")
    assert not MicroServiceVersion.objects.exists()


def test_a_wrong_password(api, shop, registry, pushed):
    configure(url=registry.url, user="ci", password="wrong password")
    answer = post(api, pushed)
    assert (answer.status_code, answer.json()["code"]) == (409, "registry_refused")
    assert "wrong password" not in answer.content.decode()


def test_publish_is_needed(api, shop, pushed):
    assert post(api, pushed, caller=api("read", "deploy")).status_code == 403
    assert not MicroServiceVersion.objects.exists()


def form(**parts) -> dict:
    return {"body": encode_multipart(BOUNDARY, {"version": "1.0", **parts}), "content_type": MULTIPART_CONTENT}


def test_a_form_names_an_image_or_has_a_package(api, shop, pushed, store):
    answer = api("publish", "read").post(ADDRESS, **form(image=pushed, package=SimpleUploadedFile("a.tar.gz", GOOD)))
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/image"
    assert not MicroServiceVersion.objects.exists() and not files(store)
    answer = api("publish", "read").post(ADDRESS, **form(image=pushed))
    assert (answer.status_code, answer.json()["image_tag"]) == (201, pushed)
    assert api("publish", "read").post(ADDRESS, **form()).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_an_idempotency_key_gives_the_same_answer(api, transactional_db, shop, registry, pushed):
    caller = api("publish", "read")
    first = caller.post(ADDRESS, {"version": "1.0", "image": pushed}, Idempotency_Key="k")
    pushed_again(registry, pushed)
    again = caller.post(ADDRESS, {"version": "1.0", "image": pushed}, Idempotency_Key="k")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotency-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_one_of_many_wins(api, transactional_db, shop, registry, pushed, store):
    name = pushed.partition("/")[2].partition(":")[0]
    for number in range(4):
        registry.push(name, f"t{number}", {"hello": b"%d" % number})
    caller = api("publish", "read")

    def publish(number):
        try:
            answer = caller.post(ADDRESS, {"version": "1.0", "image": f"{registry.host}/{name}:t{number % 4}"})
            return number % 4, answer.status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(publish, range(12)))
    version = MicroServiceVersion.objects.get()
    won = int(version.image_tag[-1])
    assert sorted(status for number, status in results if number == won) == [200, 200, 201]
    assert {status for number, status in results if number != won} == {409}
    assert files(store) == [version.file_path]
