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
def test_the_file_of_a_key(admin, private, as_bytes):
    assert sends(admin, as_bytes(private)).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_the_text_of_a_key_with_the_line_ends_of_a_browser(admin, private):
    assert sends(admin, None, secret=private.replace("\n", "\r\n")).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_a_password_is_what_was_typed_without_the_end_of_its_line(admin):
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
def test_what_is_wrong_is_said_and_nothing_of_it_comes_back(admin, content, more, word):
    answer = sends(admin, content, **more)
    page = answer.content.decode()
    assert answer.status_code == 422 and word in page and "-----BEGIN" not in page
    assert 'enctype="multipart/form-data"' in page and not Credential.objects.exists()


def test_a_key_is_replaced_by_its_file(admin, private):
    made = credentials.create(ADA, {"name": "k", "kind": "password", "secret": "before"})
    page = admin.get(f"/credentials/{made.pk}/").content.decode()
    assert 'enctype="multipart/form-data"' in page
    chosen = SimpleUploadedFile("id_ed25519", private.encode())
    assert admin.post(f"/credentials/{made.pk}/", {"name": "k", "kind": "key", "key_file": chosen}).status_code == 302
    assert Credential.objects.get().secret.reveal() == private


def test_a_secret_that_cannot_be_read_is_replaced_on_its_page(admin):
    made = credentials.create(ADA, {"name": "k", "kind": "password", "secret": "before"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credential SET secret = 'gAAAAAB-of-a-key-that-is-lost'")
    assert admin.get(f"/credentials/{made.pk}/").status_code == 200
    sent = {"name": "k", "kind": "password", "secret": "after"}
    assert admin.post(f"/credentials/{made.pk}/", sent).status_code == 302
    assert Credential.objects.get().secret.reveal() == "after"
