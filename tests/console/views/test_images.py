"""Versions that are images, on the pages that show versions."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.secrets import Secret
from integrations.models import Setting
from microservice.models import MicroServiceVersion
from tests import factories
from tests.lab import image_registry
from tests.lab.image_registry import ImageRegistry

from ..markup import markup

pytestmark = pytest.mark.django_db
HOST = "registry.example.com"
IMAGES = {number: f"{HOST}/shop@sha256:{number * 64}" for number in ("1", "2", "3")}


@pytest.fixture
def imaged(versions):
    for number, row in zip(IMAGES, MicroServiceVersion.objects.order_by("pk"), strict=True):
        MicroServiceVersion.objects.filter(pk=row.pk).update(
            image=IMAGES[number], image_tag=f"{HOST}/shop:{row.version}"
        )
    return versions


def shows(page: str, number: str) -> bool:
    """Return whether a page shows an image: its short digest, its page, and what a button copies."""
    return number * 12 in page and f'href="https://{HOST}/shop"' in page and f'data-copies="{IMAGES[number]}"' in page


def test_version_page(admin, imaged):
    page = markup(admin.get(f"/services/shop/versions/{imaged.running.pk}/"))
    assert shows(page, "2") and f"{HOST}/shop:2.0" in page and IMAGES["2"] in re.sub(r'="[^"]*"', "", page)
    assert "Not built here: a pipeline pushed the image." in page and "uploaded" not in page


def test_lists_of_versions_and_instances(admin, imaged):
    page = markup(admin.get("/services/shop/versions/"))
    assert all(shows(page, number) for number in IMAGES)
    page = markup(admin.get("/services/shop/instances/"))
    assert shows(page, "2") and not shows(page, "3")
    host = imaged.running.instances.first().host
    assert shows(markup(admin.get(f"/hosts/{host.pk}/")), "2")


@pytest.mark.rows
def test_versions_are_found_by_digest_and_tag(admin, imaged):
    for words in ("sha256:222", "shop:2.0"):
        page = markup(admin.get(f"/services/shop/versions/?q={words}"))
        assert shows(page, "2") and not shows(page, "1") and not shows(page, "3")


def test_dialog_says_both_digests(admin, imaged):
    page = markup(admin.get(f"/services/shop/versions/{imaged.running.pk}/upgrade/"))
    between = page[page.index('id="between"') :]
    assert shows(between, "2") and shows(between, "3") and not shows(between, "1")
    assert between.index("2" * 12) < between.index("3" * 12)
    assert f"{HOST}/shop:3.0 <code>{'3' * 12}" in page  # the version to choose


def test_dialog_from_a_package_to_an_image(admin, imaged):
    MicroServiceVersion.objects.filter(pk=imaged.running.pk).update(image="", image_tag="")
    page = markup(admin.get(f"/services/shop/versions/{imaged.running.pk}/upgrade/"))
    assert "a package" in page and shows(page, "3")


def test_install_dialog(admin, imaged):
    [host] = factories.hosts(prefix="new")
    page = markup(admin.get(f"/services/shop/versions/{imaged.newer.pk}/install/?host={host.pk}"))
    assert shows(page[page.index('id="plan"') :], "3")


def test_pages_of_the_registry_are_read_once(admin, imaged):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        admin.get("/services/shop/versions/")
    assert sum(f'FROM "{Setting._meta.db_table}"' in one["sql"] for one in queries) <= 1


def test_no_image_no_word_of_one(admin, versions):
    for address in ("", "versions/", f"versions/{versions.running.pk}/", f"versions/{versions.running.pk}/upgrade/"):
        page = markup(admin.get(f"/services/shop/{address}"))
        assert "sha256:" not in page and 'data-copies=""' not in page and ">Image<" not in page


@pytest.fixture
def registry(tmp_path):
    if not image_registry.installed():
        pytest.skip(image_registry.MISSING)
    with ImageRegistry(tmp_path / "registry") as running:
        web_url = "https://harbor.example.com/{name}/{digest}"
        document = {"registry": {"url": running.url, "web_url": web_url}}
        Setting.objects.create(document=Secret(json.dumps(document)))
        yield running


def test_adds_a_version_from_an_image(admin, registry, store):
    factories.service("shop")
    digest = registry.push("shop", "1.0")
    fields = {"version": "1.0", "ref": "main", "then": "build", "image": f"{registry.host}/shop:1.0"}
    answer = admin.post("/services/shop/versions/new/", fields)
    version = MicroServiceVersion.objects.get()
    assert answer.status_code == 302 and answer["Location"] == f"/services/shop/versions/{version.pk}/"
    assert (version.image, version.ref) == (f"{registry.host}/shop@{digest}", "main")
    assert f'href="https://harbor.example.com/shop/{digest}"' in markup(admin.get(answer["Location"]))
    answer = admin.post("/services/shop/versions/new/", {**fields, "version": "2.0", "image": "nginx:1.27"})
    page = answer.content.decode()
    assert answer.status_code == 422 and "not the registry of the settings" in page and "nginx:1.27" in page
    assert MicroServiceVersion.objects.count() == 1


def test_an_image_without_a_registry(admin):
    factories.service("shop")
    fields = {"version": "1.0", "ref": "main", "image": "registry.example.com/shop:1.0"}
    answer = admin.post("/services/shop/versions/new/", fields)
    assert answer.status_code == 422 and "is not configured" in answer.content.decode()
