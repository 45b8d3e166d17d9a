"""Whether a request came over https is believed from TRUSTED_PROXIES only."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from access.client_ip import ForwardedMiddleware

pytestmark = pytest.mark.pure

PROXY = {"HTTP_X_FORWARDED_PROTO": "https"}


@pytest.fixture(autouse=True)
def behind_a_proxy(settings):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "unix"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def secure(address: str, **headers: str) -> bool:
    seen: list[HttpRequest] = []
    middleware = ForwardedMiddleware(lambda request: seen.append(request) or HttpResponse())
    middleware(RequestFactory().get("/", REMOTE_ADDR=address, **headers))
    return seen[0].is_secure()


@pytest.mark.parametrize("address", ["10.1.2.3", ""])
def test_believes_trusted_proxies(address):
    assert secure(address, **PROXY)
    assert not secure(address)


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1", "::1", "nonsense"])
def test_ignores_other_clients(address):
    assert not secure(address, **PROXY)


def test_comes_before_all_other_middleware(settings):
    assert settings.MIDDLEWARE[0] == "access.client_ip.ForwardedMiddleware"
