"""Packages through the API: taken in while they are looked through, and never replaced."""

import base64
import gzip
import hashlib
import io
import os
import random
import tarfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections

from access.callers import SYSTEM
from access.problems import Problem
from audit.models import History
from microservice.models import MicroServiceVersion, UnclaimedPackage
from microservice.packages import archives
from microservice.packages import store as stored
from microservice.publishing import upload
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD, HOSTILE, OTHER, entry, folder, link, packed, rewritten, tar

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(db):
    return pending()


def pending() -> MicroServiceVersion:
    return MicroServiceVersion.objects.create(microservice=factories.service("shop"), version="1.0")


def path_of(version) -> str:
    return f"/services/shop/versions/{version.pk}/package"


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def files(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def put(api, version, data, **headers):
    return api().put(path_of(version), data, content_type="application/gzip", **headers)


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


def test_uploading_again_accepts_equal_bytes_only(api, version, store):
    first = put(api, version, GOOD)
    again = put(api, version, GOOD)
    assert (again.status_code, again.json()) == (200, first.json())
    other = put(api, version, OTHER)
    assert (other.status_code, other.json()["code"]) == (409, "package_exists")
    assert files(store) == [first.json()["file_path"]]
    assert (store / first.json()["file_path"]).read_bytes() == rewritten(GOOD)


@pytest.mark.found("packages")
def test_accepts_a_rebuilt_archive_of_equal_content(api, version, store):
    """Other times, another order, other owners and another packer: a pipeline that is retried."""
    parts = [folder("bin"), entry("bin/run", b"x", mode=0o755), entry("a", b"y", mtime=5), link("b", "a")]
    first = put(api, version, packed(*parts)).json()
    made_again = gzip.compress(tar(*[entry("a", b"y", uid=77, mtime=9)], *parts[:2], parts[3], form=tarfile.GNU_FORMAT))
    answer = put(api, version, made_again, Content_Digest=digest(made_again))
    assert answer.status_code == 200, answer.content
    assert answer.json() == first | {"source_sha256": hashlib.sha256(made_again).hexdigest()}
    for other in (entry("a", b"z"), entry("a", b"y", mode=0o755), entry("c", b"y"), folder("a")):
        assert put(api, version, packed(*parts[:2], other, parts[3])).status_code == 409
    assert put(api, version, packed(*parts[:3], link("b", "bin"))).status_code == 409
    assert files(store) == [first["file_path"]] and not UnclaimedPackage.objects.exists()


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


@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_uploads_wins(api, transactional_db, store):
    made = pending()
    caller = api()
    bodies = [packed(entry("file", b"%d" % (number % 4))) for number in range(16)]

    def upload(data):
        try:
            return caller.put(path_of(made), data, content_type="application/gzip").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(upload, bodies))
    made.refresh_from_db()
    kept = (store / made.file_path).read_bytes()
    assert hashlib.sha256(kept).hexdigest() == made.sha256
    assert [status == 200 for status in statuses] == [rewritten(data) == kept for data in bodies]
    assert set(statuses) == {200, 409}
    assert files(store) == [made.file_path] and not UnclaimedPackage.objects.exists()


# --- what was found in use --------------------------------------------------------------------------------------------


@pytest.mark.found("packages")
def test_conflicts_name_differing_files(api, version, store):
    some = [entry(f"lib/{number}", b"x") for number in range(10)]
    put(
        api,
        version,
        packed(
            entry("bin/run", b"old", mode=0o755), entry("gone", b"x"), entry("mode", b"x"), *some, link("l", "gone")
        ),
    )
    other = [entry(f"lib/{number}", b"y") for number in range(10)]
    answer = put(
        api,
        version,
        packed(
            entry("bin/run", b"newer", mode=0o755),
            entry("mode", b"x", mode=0o700),
            *other,
            entry("more", b""),
            link("l", "more"),
        ),
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "package_exists")
    told = answer.json()["detail"]
    assert "15 entries differ: 13 changed (bin/run, l, lib/0), 1 added (more), 1 missing (gone)." in told
    reasons = [error["reason"] for error in answer.json()["errors"]]
    assert "changed: bin/run: was 3 bytes, is 5" in reasons and "changed: 8 more" in reasons
    assert (
        "changed: lib/0: same size, different content" in reasons and "changed: l: links to another target" in reasons
    )
    assert "missing: gone" in reasons and "added: more" in reasons
    only = put(
        api,
        version,
        packed(entry("bin/run", b"old"), entry("gone", b"x"), entry("mode", b"x"), *some, link("l", "gone")),
    )
    assert [error["reason"] for error in only.json()["errors"]] == ["changed: bin/run: mode was 755, is 644"]


@pytest.mark.found("packages")
def test_accepts_a_retry_in_another_format(api, version, store):
    import lzma

    from tests.microservice.packages import zips

    first = put(api, version, packed(entry("a", b"x"), entry("bin/run", b"y", mode=0o755))).json()
    made_again = (
        lzma.compress(tar(entry("bin/run", b"y", mode=0o755, mtime=9), entry("a", b"x"))),
        zips.made(zips.entry("a", b"x", 0o100644), zips.entry("bin/run", b"y", 0o100755)),
    )
    for data in made_again:
        answer = put(api, version, data, Content_Digest=digest(data))
        assert (answer.status_code, answer.json()["sha256"]) == (200, first["sha256"]), answer.content
    assert files(store) == [first["file_path"]]


@pytest.mark.found("packages")
def test_names_what_was_sent_instead_of_a_package(api, version, store):
    answer = put(api, version, b"<!doctype html><title>Sign in</title>")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_package")
    assert "web page" in answer.json()["detail"] and "tar -czf" in answer.json()["hint"]
