"""A package store that speaks S3: moto's server, over HTTP and over TLS with its own CA and a client certificate."""

import hashlib
import tempfile
from datetime import timedelta

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone

from integrations import registry as parts
from integrations import storage
from microservice.models import MicroServiceVersion, UnclaimedPackage
from microservice.packages import store as stored
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD, OTHER
from tests.integrations import servers

pytestmark = pytest.mark.django_db


def s3(server, **more) -> dict:
    return {
        "package_store": {
            "kind": "s3",
            "endpoint": server.url,
            "region": "eu-west-1",
            "bucket": f"packages-{server.http.server_port}",
            "prefix": "deployer",
            "access_key": "AKIA1",
            "secret_key": "s3cr3t-key",
            **more,
        }
    }


def make_bucket(server, **more) -> None:
    part = parts.wrapped("package_store", s3(server, **more)["package_store"])
    bucket = storage.build(part).connection.Bucket(part["bucket"])
    bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def steps(answer) -> dict[str, bool]:
    return {step["what"]: step["ok"] for step in answer.json()["findings"][0]["steps"]}


@pytest.fixture
def chosen(settings, tmp_path):
    """Return the product's own storage, whose folder is used until another store is chosen."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "integrations.storage.ConfiguredStorage", "OPTIONS": {"location": tmp_path / "local"}},
    }
    yield storages["default"]


def test_stores_packages_in_s3(api, chosen, tmp_path):
    with servers.S3(tmp_path) as server:
        checked = api().post("/settings/check", s3(server))
        assert not checked.json()["ok"], "there is no bucket yet"
        make_bucket(server)
        saved = api().put("/settings/", s3(server))
        assert saved.status_code == 200, saved.content
        assert steps(saved) == dict.fromkeys(["list", "write", "read", "delete"], True)
        assert b"s3cr3t-key" not in saved.content

        version = MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")
        data, other = GOOD, OTHER
        put = lambda body: api().put(
            f"/services/shop/versions/{version.pk}/package", body, content_type="application/gzip"
        )
        assert put(data).status_code == 200
        assert put(data).status_code == 200, "the same bytes again"
        assert put(other).json()["code"] == "package_exists"
        version.refresh_from_db()
        assert version.file_path.startswith(f"shop/1.0-{version.sha256[:16]}-")
        with stored.open_package(version) as file:
            assert hashlib.sha256(file.read()).hexdigest() == version.sha256
        assert version.source_sha256 == hashlib.sha256(data).hexdigest()
        assert objects(chosen) == [version.file_path], "nothing of the refused one is kept"
        assert not (tmp_path / "local/shop").exists()
        stored.remove([version.file_path])
        assert not chosen.exists(version.file_path)


def objects(store) -> list[str]:
    """All of the service's."""
    return sorted(f"shop/{name}" for name in store.listdir("shop")[1])


@pytest.fixture
def in_s3(api, chosen, tmp_path):
    with servers.S3(tmp_path) as server:
        make_bucket(server)
        assert api().put("/settings/", s3(server)).status_code == 200
        yield chosen


def form(version: str, package: bytes = GOOD, **fields) -> tuple[bytes, str]:
    parts = {"version": version, "package": SimpleUploadedFile("p.tar.gz", package), **fields}
    return encode_multipart(BOUNDARY, parts), MULTIPART_CONTENT


def test_refused_publish_leaves_no_object(api, in_s3):
    """Not found out before it is carried: the version is made by another request meanwhile, with other content."""
    service = factories.service("shop")
    post = lambda *parts: api().post("/services/shop/versions/", *parts[:1], content_type=parts[1])
    assert post(*form("1.0")).status_code == 201
    kept = objects(in_s3)
    assert len(kept) == 1
    assert post(*form("1.0", ref="other")).json()["code"] == "version_exists"
    assert post(*form("1.0", OTHER)).json()["code"] == "package_exists"
    MicroServiceVersion.objects.create(microservice=service, version="2.0", ref="dev")
    assert post(*form("2.0")).json()["code"] == "version_exists"
    failed = MicroServiceVersion.objects.create(microservice=service, version="3.0", status=BuildStatus.FAILED)
    assert post(*form("3.0", status="failed")).json()["code"] == "build_ended"
    put = api().put(f"/services/shop/versions/{failed.pk}/package", GOOD, content_type="application/gzip")
    assert put.json()["code"] == "build_ended"
    assert objects(in_s3) == kept and not UnclaimedPackage.objects.exists()


def test_failed_publish_leaves_no_object(api, in_s3, monkeypatch):
    version = MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")

    def broken(*_):
        assert len(objects(in_s3)) == 1, "it is there already"
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("microservice.publishing.auto_deploy.build_ended", broken)
    assert api().put(f"/services/shop/versions/{version.pk}/package", GOOD).status_code == 500
    body, kind = form("2.0")
    assert api().post("/services/shop/versions/", body, content_type=kind).status_code == 500
    assert objects(in_s3) == [] and not UnclaimedPackage.objects.exists()
    version.refresh_from_db()
    assert version.file_path == ""


def test_sweeps_orphaned_objects_only(api, in_s3):
    """It died between carrying the object and its row: the note is there, and so is the object."""
    version = MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")
    with pytest.raises(SystemExit), tempfile.NamedTemporaryFile() as file:
        stored.PendingObject(in_s3, file, "shop", "0.9", "a" * 64).__enter__()
        raise SystemExit
    (left,) = objects(in_s3)
    assert api().put(f"/services/shop/versions/{version.pk}/package", GOOD).status_code == 200
    assert left in objects(in_s3), "it may be on its way still"
    UnclaimedPackage.objects.update(created=timezone.now() - timedelta(hours=7))
    version.refresh_from_db()
    UnclaimedPackage.objects.create(path=version.file_path)
    UnclaimedPackage.objects.update(created=timezone.now() - timedelta(hours=7))
    stored.sweep(in_s3)
    assert objects(in_s3) == [version.file_path] and not UnclaimedPackage.objects.exists()


def test_refuses_uploads_slower_than_the_sweep(api, in_s3, monkeypatch):
    version = MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")

    def swept(carried):
        UnclaimedPackage.objects.update(created=timezone.now() - timedelta(hours=7))
        stored.sweep(in_s3)
        return claim(carried)

    claim = stored.PendingObject.claim
    monkeypatch.setattr(stored.PendingObject, "claim", swept)
    put = lambda: api().put(f"/services/shop/versions/{version.pk}/package", GOOD).status_code
    assert put() == 503
    version.refresh_from_db()
    assert (version.file_path, version.status, objects(in_s3)) == ("", BuildStatus.PENDING, [])
    monkeypatch.undo()
    assert put() == 200


def test_retries_failed_removals(api, in_s3, monkeypatch):
    version = MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")
    api().put(f"/services/shop/versions/{version.pk}/package", GOOD)
    monkeypatch.setattr(type(in_s3), "delete", lambda *_: 1 / 0, raising=False)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert api().delete("/services/shop").status_code == 204
    monkeypatch.undo()
    assert len(objects(in_s3)) == 1
    UnclaimedPackage.objects.update(created=timezone.now() - timedelta(hours=7))
    stored.sweep(in_s3)
    assert objects(in_s3) == []


def test_s3_with_own_ca_and_client_certificate(api, tmp_path):
    authority, stranger = servers.Authority(), servers.Authority()
    certificate, key = authority.issue("deployer")
    with servers.S3(tmp_path, tls=authority.issue("server"), client_ca=authority.pem) as server:
        good = {"ca": authority.pem, "client_cert": certificate, "client_key": key}
        make_bucket(server, **good)
        ask = lambda **more: api().post("/settings/check", s3(server, **more)).json()["ok"]
        assert ask(**good)
        assert ask(**good | {"ca": "", "verify": False})
        assert not ask(**good | {"ca": ""})
        assert not ask(**good | {"ca": stranger.pem})
        assert not ask(ca=authority.pem)


def test_pem_files_are_in_memory():
    path = storage.pem_file("-----BEGIN")
    assert path.startswith("/proc/")
    with open(path) as file:
        assert file.read() == "-----BEGIN"
