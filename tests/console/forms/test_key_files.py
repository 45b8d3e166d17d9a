"""A private key comes as text or as its file."""

import subprocess

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from access.callers import Caller
from asset import credentials
from asset.models import Credential

pytestmark = [pytest.mark.django_db, pytest.mark.found("keys")]
ADA = Caller(name="ada", scopes=frozenset({"admin"}))


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.read_text()


def sends(admin, content: bytes | None, **more):
    chosen = {} if content is None else {"key_file": SimpleUploadedFile("id_ed25519", content)}
    return admin.post("/credentials/", {"name": "k", "kind": "key", **chosen, **more})


@pytest.mark.parametrize(
    "as_bytes",
    [
        str.encode,
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["lf", "crlf", "bom", "utf-16"],
)
def test_reads_key_file(admin, private, as_bytes):
    assert sends(admin, as_bytes(private)).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_key_with_browser_line_ends(admin, private):
    assert sends(admin, None, secret=private.replace("\n", "\r\n")).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_password_without_line_end(admin):
    assert sends(admin, None, kind="password", secret=" pass word \r\n").status_code == 302
    assert Credential.objects.get().secret.reveal() == " pass word "


@pytest.mark.parametrize(
    ("content", "more", "word"),
    [
        (None, {}, "choose a key file"),
        (b"\x30\x82\x01\xff\xfe\x00", {}, "openssl pkey -inform DER"),
        (b"x" * 40_000, {}, "too large"),
        (b"-----BEGIN", {"secret": "x"}, "not both"),
        (b"-----BEGIN", {"name": ""}, "Choose the file again"),
    ],
)
def test_rejects_invalid_key_without_echo(admin, content, more, word):
    answer = sends(admin, content, **more)
    page = answer.content.decode()
    assert answer.status_code == 422 and word in page and "-----BEGIN" not in page
    assert 'enctype="multipart/form-data"' in page and not Credential.objects.exists()


def test_replaces_key_by_file(admin, private):
    made = credentials.create(ADA, {"name": "k", "kind": "password", "secret": "before"})
    page = admin.get(f"/credentials/{made.pk}/").content.decode()
    assert 'enctype="multipart/form-data"' in page
    chosen = SimpleUploadedFile("id_ed25519", private.encode())
    assert admin.post(f"/credentials/{made.pk}/", {"name": "k", "kind": "key", "key_file": chosen}).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_replaces_unreadable_secret(admin):
    made = credentials.create(ADA, {"name": "k", "kind": "password", "secret": "before"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credential SET secret = 'gAAAAAB-of-a-key-that-is-lost'")
    assert admin.get(f"/credentials/{made.pk}/").status_code == 200
    sent = {"name": "k", "kind": "password", "secret": "after"}
    assert admin.post(f"/credentials/{made.pk}/", sent).status_code == 302
    assert Credential.objects.get().secret.reveal() == "after"
