"""Versions that are images: stored as an uploaded package is, once, and never replaced."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from access.callers import SYSTEM
from access.problems import Problem
from audit.models import History
from microservice.catalog import delete_version
from microservice.models import MicroService, MicroServiceVersion, UnclaimedPackage
from microservice.packages import store as stored
from microservice.packages.images import package_of
from microservice.publishing import images
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD
from tests.api.packages import files, pending, put

pytestmark = [pytest.mark.django_db, pytest.mark.rows]
HOST = "registry.example.com"
IMAGES = [f"{HOST}/shop@sha256:{str(number) * 64}" for number in range(4)]
TAG = f"{HOST}/shop:1.0"


@pytest.fixture(autouse=True)
def own_store(store):
    return store


def test_an_image_ends_the_build(store):
    version = images.store(SYSTEM, pending(), IMAGES[0], TAG)
    version.refresh_from_db()
    assert (version.status, version.image, version.image_tag) == (BuildStatus.SUCCESS, IMAGES[0], TAG)
    with stored.open_package(version) as file:
        assert file.read() == package_of(IMAGES[0])
    assert version.sha256 == version.source_sha256 and version.unpacked_size == len(IMAGES[0]) + 1
    after = History.objects.get(action="publish").after
    assert (after["image"], after["image_tag"]) == (IMAGES[0], TAG)
    assert files(store) == [version.file_path] and not UnclaimedPackage.objects.exists()


def test_the_same_image_again_changes_nothing(store):
    first = images.store(SYSTEM, pending(), IMAGES[0], TAG)
    again = images.store(SYSTEM, first, IMAGES[0].replace(HOST, "other.example.com"), f"{HOST}/shop:latest")
    assert (again.image, again.image_tag) == (IMAGES[0], TAG)
    assert len(files(store)) == 1


def test_another_image_is_refused():
    version = images.store(SYSTEM, pending(), IMAGES[0], TAG)
    with pytest.raises(Problem) as refusal:
        images.store(SYSTEM, version, IMAGES[1], TAG)
    assert refusal.value.message.code == "package_exists.another_image"
    assert IMAGES[0] in refusal.value.detail and IMAGES[1] in refusal.value.detail and TAG in refusal.value.detail


def test_a_package_is_no_image(api):
    version = pending()
    assert put(api, version, GOOD).status_code == 200
    version.refresh_from_db()
    with pytest.raises(Problem) as refusal:
        images.store(SYSTEM, version, IMAGES[0], TAG)
    assert refusal.value.message.code == "package_exists.no_image"
    MicroServiceVersion.objects.update(manifest="", sha256="")  # as it came before uploads were rewritten
    with pytest.raises(Problem):
        images.store(SYSTEM, MicroServiceVersion.objects.get(), IMAGES[0], TAG)


def test_an_uploaded_package_that_looks_like_one_is_no_image(api):
    version = pending()
    assert put(api, version, package_of(IMAGES[0])).json()["image"] == ""
    version.refresh_from_db()
    with pytest.raises(Problem) as refusal:
        images.store(SYSTEM, version, IMAGES[0], TAG)
    assert refusal.value.message.code == "package_exists.no_image"


def test_an_image_takes_no_package(api):
    version = images.store(SYSTEM, pending(), IMAGES[0], TAG)
    answer = put(api, version, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (409, "package_exists")
    assert IMAGES[0] in answer.json()["detail"]
    assert put(api, version, package_of(IMAGES[0])).status_code == 200  # what it has


@pytest.mark.parametrize("origin", MicroService.Origin)
def test_services_of_every_origin_take_an_image(origin):
    version = pending()
    MicroService.objects.update(build_orig=origin)
    assert images.store(SYSTEM, version, IMAGES[0], TAG).status == BuildStatus.SUCCESS


def test_claim_decides(store):
    def late() -> None:
        raise RuntimeError

    version = pending()
    with pytest.raises(RuntimeError):
        images.store(SYSTEM, version, IMAGES[0], TAG, claim=late)
    version.refresh_from_db()
    assert (version.status, version.image, files(store)) == (BuildStatus.PENDING, "", [])


def test_auto_deploy_follows():
    service = factories.service(auto_deploy_tag="edge")
    [old] = factories.versions(service, 1)
    [instance] = factories.instances(old, factories.hosts(), tag="edge")
    new = MicroServiceVersion.objects.create(microservice=service, version="2.0")
    images.store(SYSTEM, new, IMAGES[0], TAG)
    instance.refresh_from_db()
    assert instance.locked and instance.lock_deployment.dest_version == new


def test_deletion_removes_the_object(store, django_capture_on_commit_callbacks):
    version = images.store(SYSTEM, pending(), IMAGES[0], TAG)
    with django_capture_on_commit_callbacks(execute=True):
        delete_version(SYSTEM, version, "")
    assert files(store) == []


@pytest.mark.django_db(transaction=True)
def test_one_of_many_images_wins(transactional_db, store):
    version = pending()

    def publish(number):
        try:
            return images.store(SYSTEM, version, IMAGES[number % 4], TAG).image
        except Problem as problem:
            return problem.status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(publish, range(16)))
    version.refresh_from_db()
    assert version.image in IMAGES and set(results) == {version.image, 409}
    assert results.count(version.image) == 4
    assert len(files(store)) == 1 and not UnclaimedPackage.objects.exists()
