"""A package store that speaks S3: moto's server, over HTTP and over TLS with its own CA and a client certificate."""
import hashlib

import pytest
from django.core.files.storage import storages

from microservice.models import MicroServiceVersion
from microservice.packages import stored
from outside import parts, storage
from tests.microservice import fleet
from tests.microservice.api.archives import GOOD, OTHER
from tests.microservice.api.conftest import api  # noqa: F401
from tests.outside import servers

pytestmark = pytest.mark.django_db


def s3(server, **more) -> dict:
    return {"package_store": {"kind": "s3", "endpoint": server.url, "region": "eu-west-1",
                              "bucket": f"packages-{server.http.server_port}", "prefix": "deployer",
                              "access_key": "AKIA1", "secret_key": "s3cr3t-key", **more}}


def make_bucket(server, **more) -> None:
    part = parts.wrapped("package_store", s3(server, **more)["package_store"])
    bucket = storage.build(part).connection.Bucket(part["bucket"])
    bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def steps(answer) -> dict[str, bool]:
    return {step["what"]: step["ok"] for step in answer.json()["findings"][0]["steps"]}


@pytest.fixture
def chosen(settings, tmp_path):
    """The product's own storage, whose folder holds until another store is chosen."""
    settings.STORAGES = {**settings.STORAGES, "default": {
        "BACKEND": "outside.storage.Chosen", "OPTIONS": {"location": tmp_path / "local"}}}
    yield storages["default"]


def test_packages_go_to_s3_and_come_back_and_the_first_of_a_name_stays(api, chosen, tmp_path):  # noqa: F811
    with servers.S3(tmp_path) as server:
        checked = api().post("/settings/check", s3(server))
        assert not checked.json()["ok"], "there is no bucket yet"
        make_bucket(server)
        saved = api().put("/settings/", s3(server))
        assert saved.status_code == 200, saved.content
        assert steps(saved) == dict.fromkeys(["list", "write", "read", "delete"], True)
        assert b"s3cr3t-key" not in saved.content

        version = MicroServiceVersion.objects.create(microservice=fleet.service("shop"), version="1.0")
        data, other = GOOD, OTHER
        put = lambda body: api().put(f"/services/shop/versions/{version.pk}/package", body,
                                     content_type="application/gzip")
        assert put(data).status_code == 200
        assert put(data).status_code == 200, "the same bytes again"
        assert put(other).json()["code"] == "package_exists"
        version.refresh_from_db()
        assert version.file_path == f"shop/1.0-{version.sha256[:16]}.tar.gz"
        with stored.open_package(version) as file:
            assert hashlib.sha256(file.read()).hexdigest() == version.sha256 == hashlib.sha256(data).hexdigest()
        assert chosen.listdir("shop")[1] == [f"1.0-{version.sha256[:16]}.tar.gz"], "nothing of the refused one is kept"
        assert not (tmp_path / "local/shop").exists()
        stored.remove([version.file_path])
        assert not chosen.exists(version.file_path)


def test_s3_over_tls_with_its_own_ca_and_a_client_certificate(api, tmp_path):  # noqa: F811
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


def test_a_certificate_for_a_library_lies_on_no_disk():
    path = storage.pem_file("-----BEGIN")
    assert path.startswith("/proc/")
    with open(path) as file:
        assert file.read() == "-----BEGIN"
