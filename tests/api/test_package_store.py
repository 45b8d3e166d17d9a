"""Packages that lie in the store already, and those that are left over."""

import hashlib
import os

import pytest

from microservice.models import MicroServiceVersion, UnclaimedPackage
from microservice.packages import archives
from microservice.packages import store as stored
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD, HOSTILE, OTHER, rewritten
from tests.api.packages import files, put

pytestmark = pytest.mark.django_db


def by_other_means(version, store, path="shop/1.tgz", data=GOOD):
    """As CI could do it when `file_path` was a field: the object, and the row that names it."""
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(data)
    MicroServiceVersion.objects.filter(pk=version.pk).update(file_path=path, status=BuildStatus.SUCCESS)
    version.refresh_from_db()


def test_does_not_replace_a_package_found_in_the_store(api, version, store):
    by_other_means(version, store)
    assert put(api, version, OTHER).status_code == 409
    assert put(api, version, GOOD).json()["source_sha256"] == hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize("path", ["shop/1.tgz", "builds/1.tgz"])
def test_rewrites_a_package_found_in_the_store(version, store, path):
    by_other_means(version, store, path)
    stored.ensure_rewritten(version)
    assert stored.is_in_folder("shop", version.file_path)
    assert (store / version.file_path).read_bytes() == rewritten(GOOD)
    assert version.sha256 == hashlib.sha256(rewritten(GOOD)).hexdigest()
    assert version.source_sha256 == hashlib.sha256(GOOD).hexdigest()
    # The old object goes with the next sweeps where it is the service's own; what lies elsewhere is not touched.
    assert [one.path for one in UnclaimedPackage.objects.all()] == [path] * path.startswith("shop/")


@pytest.mark.parametrize("other", [False, True])
def test_ignores_an_invalid_package_in_the_store(version, store, other):
    if other:
        factories.service("red")
        by_other_means(version, store, "red/1.0.tar.gz")
    else:
        by_other_means(version, store, data=HOSTILE["a link up"])
    with pytest.raises(archives.BadArchive):
        stored.ensure_rewritten(version)
    version.refresh_from_db()
    assert version.sha256 == "" and not UnclaimedPackage.objects.exists()


def test_sweeps_leftovers_of_dead_uploads(api, version, store):
    old = store / ".incoming/old.tar.gz"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert files(store) == [".incoming/old.tar.gz"]
    answer = put(api, version, GOOD)
    assert files(store) == [answer.json()["file_path"]]


def test_deleting_a_service_keeps_others_packages(api, version, store, django_capture_on_commit_callbacks):
    """Rows from when `file_path` was a field: into another team's folder, beside all, shared with another row."""
    own = put(api, version, GOOD).json()["file_path"]
    red = factories.service("red")
    paths = ("red/1.0.tar.gz", "builds/1.tgz", "shop2/x.tar.gz", "shop/shared.tar.gz", "shop/old.tar.gz")
    for number, path in enumerate((*paths, "shop/../red/1.0.tar.gz")):
        target = store / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x")
        MicroServiceVersion.objects.create(microservice=version.microservice, version=f"0.{number}", file_path=path)
    MicroServiceVersion.objects.create(microservice=red, version="1.0", file_path="shop/shared.tar.gz")
    assert own in files(store) and "shop/old.tar.gz" in files(store)
    with django_capture_on_commit_callbacks(execute=True):
        assert api().delete("/services/shop").status_code == 204
    assert files(store) == sorted(paths[:4]) and not UnclaimedPackage.objects.exists()
