"""A package that is uploaded again: equal content is accepted in any form, and other content is described."""

import gzip
import hashlib
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from microservice.models import UnclaimedPackage
from tests.api.archives import GOOD, OTHER, entry, folder, link, packed, rewritten, tar
from tests.api.packages import digest, files, path_of, pending, put

pytestmark = pytest.mark.django_db


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
    detail = answer.json()["detail"]
    assert "15 entries differ: 13 changed (bin/run, l, lib/0), 1 added (more), 1 missing (gone)." in detail
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
