"""How large a body may be, by its address; and nothing of it is read or written before that is known."""

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.test import Client, RequestFactory

from access import bodies
from microservice.models import MicroService

FORM = "multipart/form-data; boundary=b"


class Untouched(io.RawIOBase):
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("it was read")


def send(path: str, length: int | str, kind: str = FORM, client: Client | None = None, **meta):
    return (client or Client(enforce_csrf_checks=True)).generic(
        "POST",
        path,
        b"",
        kind,
        **{
            "CONTENT_LENGTH": str(length),
            "CONTENT_TYPE": kind,
            "wsgi.input": Untouched(),
            "HTTP_REFERER": "http://testserver/login/",
            "HTTP_COOKIE": f"csrftoken={'c' * 32}",
            **meta,
        },
    )


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/login/", bodies.DEFAULT),
        ("/api/v1/services/", bodies.API),
        ("/api/v1/builds/gitlab/webhook", bodies.REPORT),
        ("/api/v1/builds/gitlab/webhook/", bodies.REPORT),
        ("/api/v1/services/x/versionsx", bodies.API),
        ("/api/v1/services/x/versions", None),
        ("/api/v1/services/x/versions/1/package", None),
        ("/x/api/v1/services/x/versions/", bodies.DEFAULT),
    ],
)
def test_limits_bodies_by_address(path, limit):
    assert bodies.max_size(path) == limit


@pytest.mark.parametrize(
    "path",
    [
        "/login/",
        "/admin/login/",
        "/healthz",
        "/nothing",
        "/api/v1/services/",
        "/api/nothing",
        "/api/v1/builds/git/webhook",
        "/",
        "/static/css/x.css",
    ],
)
def test_refuses_larger_bodies_unread(db, path):
    for length in (str(300 << 20), "-1", "1e9", "9" * 30):
        answer = send(path, length)
        assert answer.status_code == 413
        if path.startswith("/api/"):
            assert answer.json()["code"] == "too_large"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/services/shop/versions/",
        "/api/v1/services/shop/versions/1/package",
        "/api/v1/services/shop/versions/nothing/there",
    ],
)
def test_reads_no_uploads_of_strangers(db, path):
    assert send(path, 300 << 20).status_code in (401, 404, 405)
    assert send(path, 300 << 20, HTTP_AUTHORIZATION="Bearer wrong").status_code in (401, 404, 405)


def test_reads_no_uploads_without_csrf_token(db):
    MicroService.objects.create(name="shop")
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("ann"))
    cookie = f"sessionid={client.cookies['sessionid'].value}; csrftoken={'c' * 32}"
    answer = send("/api/v1/services/shop/versions/", 300 << 20, client=client, HTTP_COOKIE=cookie)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_small_forms_stay_in_memory():
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 500_000 + b"\r\n--b--\r\n"
    request = RequestFactory().generic("POST", "/login/", body, FORM)
    assert isinstance(request.FILES["f"], InMemoryUploadedFile)
    large = RequestFactory().generic("POST", "/login/", body.replace(b"x" * 500_000, b"x" * 2_000_000), FORM)
    assert not large.FILES  # and no file of it anywhere
