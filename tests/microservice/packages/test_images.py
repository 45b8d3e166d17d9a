"""The package of an image."""

import io
import tarfile

from microservice.packages import archives
from microservice.packages.images import digest_of, is_same, package_of, short_digest

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"registry.example.com:5000/shop/api@{DIGEST}"


def test_has_one_file_that_names_the_image():
    with tarfile.open(fileobj=io.BytesIO(package_of(IMAGE))) as archive:
        [member] = archive.getmembers()
        assert (member.name, member.mode, member.mtime, member.uid) == ("image", 0o644, 0, 0)
        assert archive.extractfile(member).read() == f"{IMAGE}\n".encode()


def test_is_stored_as_it_is():
    package, written = io.BytesIO(package_of(IMAGE)), io.BytesIO()
    archives.rewrite(lambda: package.read(64), written.write)
    assert written.getvalue() == package_of(IMAGE)


def test_another_host_name_is_the_same_image():
    assert is_same(IMAGE, f"localhost/shop/api@{DIGEST}")
    assert not is_same(IMAGE, f"registry.example.com:5000/shop/other@{DIGEST}")
    assert not is_same(IMAGE, IMAGE.replace("0123", "ffff", 1))
    assert not is_same("", "")


def test_digest():
    assert (digest_of(IMAGE), short_digest(IMAGE)) == (DIGEST, "0123456789ab")
    assert (digest_of(""), short_digest("")) == ("", "")
