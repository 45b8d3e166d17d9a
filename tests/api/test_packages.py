"""Uploads of packages through the API: checked while they are read, stored once, and never replaced."""

import hashlib
import io
import random
import tarfile
import tracemalloc

import pytest

from access.callers import SYSTEM
from access.problems import Problem
from audit.models import History
from microservice.models import MicroServiceVersion, UnclaimedPackage
from microservice.packages import store as stored
from microservice.publishing import upload
from microservice.status import BuildStatus
from tests.api.archives import GOOD, HOSTILE, OTHER, entry, rewritten
from tests.api.packages import digest, files, put

pytestmark = pytest.mark.django_db


def test_upload_completes_a_pending_version(api, version, store):
    answer = put(api, version, GOOD, Content_Digest=digest(GOOD))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["status_str"] == "success" and body["file_path"].startswith(f"shop/1.0-{body['sha256'][:16]}-")
    assert body["source_sha256"] == hashlib.sha256(GOOD).hexdigest() != body["sha256"]
    assert body["unpacked_size"] == 2000 + 1 + 3000 + 1 + 4
    assert files(store) == [body["file_path"]]
    version.refresh_from_db()
    with stored.open_package(version) as file:
        kept = file.read()
    assert kept == rewritten(GOOD) and (body["sha256"], body["size"]) == (hashlib.sha256(kept).hexdigest(), len(kept))
    assert History.objects.get(action="publish").after["size"] == len(kept)
    assert not UnclaimedPackage.objects.exists()


@pytest.mark.parametrize("what", HOSTILE)
def test_refuses_hostile_archives(api, version, store, what):
    answer = put(api, version, HOSTILE[what])
    assert answer.status_code == 422, (what, answer.content)
    assert answer.json()["code"] == "bad_package"
    assert files(store) == []
    version.refresh_from_db()
    assert (version.status, version.file_path, version.sha256) == (BuildStatus.PENDING, "", "")


def test_tries_at_least_fifty_hostile_archives():
    assert len(HOSTILE) >= 50


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (digest(GOOD), 200),
        (digest(OTHER), 422),
        ("sha-256=:AAAA:", 422),
        ("sha-256=::", 422),
        ("sha-256=nonsense", 422),
        ("md5=:AAAA:", 422),
        ("sha-512=:AAAA:, " + digest(GOOD), 200),
        ("sha-256=:%%%%:", 422),
        ("sha-256", 422),
        (",", 422),
    ],
)
def test_verifies_the_announced_digest(api, version, store, header, status):
    answer = put(api, version, GOOD, Content_Digest=header)
    assert answer.status_code == status, answer.content
    assert files(store) == ([answer.json()["file_path"]] if status == 200 else [])


@pytest.mark.parametrize("status", [BuildStatus.FAILED, BuildStatus.TIMEOUT, BuildStatus.DUPLICATE])
def test_ended_builds_accept_no_package(api, version, store, status):
    MicroServiceVersion.objects.update(status=status)
    answer = put(api, version, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (409, "build_ended")
    assert not store.exists() or files(store) == []


def test_success_without_package_accepts_one(api, version):
    MicroServiceVersion.objects.update(status=BuildStatus.SUCCESS)
    assert put(api, version, GOOD).status_code == 200


def test_aborted_uploads_leave_nothing(version, store):
    class Cut(io.BytesIO):
        def read(self, size=-1):
            piece = super().read(100)
            if not piece:
                raise OSError("gone")
            return piece

    with pytest.raises(Problem) as refused:
        upload.store(SYSTEM, version, upload.Body(Cut(GOOD[:-50]), len(GOOD)))
    assert (refused.value.status, refused.value.code) == (400, "incomplete")
    assert files(store) == []


def test_rejects_incomplete_bodies(version, store):
    with pytest.raises(Problem) as refused:
        upload.store(SYSTEM, version, upload.Body(io.BytesIO(GOOD), len(GOOD) + 1))
    assert refused.value.code == "incomplete"
    assert files(store) == []


def test_rejects_large_packages_early(api, version, store, monkeypatch):
    monkeypatch.setattr(upload, "MAX_BYTES", len(GOOD) - 1)
    assert put(api, version, GOOD).status_code == 413
    with pytest.raises(Problem) as refused:
        upload.store(SYSTEM, version, upload.Body(io.BytesIO(GOOD), None))
    assert refused.value.status == 413
    assert files(store) == []


@pytest.mark.django_db(transaction=True)  # no transaction of the test's own may stand open as long as this takes
def test_large_packages_use_constant_memory(version):
    """64 MB that do not compress, made while they are read."""
    size = 64 << 20
    noise = random.Random(1).randbytes(1 << 20)
    import zlib

    info, _ = entry("big")
    info.size = size

    def pieces():
        zipper = zlib.compressobj(1, zlib.DEFLATED, 31)
        yield zipper.compress(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            yield zipper.compress(noise)
        yield zipper.compress(bytes(1024)) + zipper.flush()

    class Stream:
        def __init__(self):
            self.pieces = pieces()
            self.rest = b""

        def read(self, most):
            while not self.rest and (piece := next(self.pieces, None)) is not None:
                self.rest = piece
            piece, self.rest = self.rest[:most], self.rest[most:]
            return piece

    tracemalloc.start()
    try:
        stored = upload.store(SYSTEM, version, upload.Body(Stream(), None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stored.unpacked_size == size
    assert peak < 12 << 20


@pytest.mark.found("packages")
def test_names_what_was_sent_instead_of_a_package(api, version, store):
    answer = put(api, version, b"<!doctype html><title>Sign in</title>")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_package")
    assert "web page" in answer.json()["detail"] and "tar -czf" in answer.json()["hint"]
