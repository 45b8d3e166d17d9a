"""The client address of a request: headers of strangers do not count."""

import pytest
from django.test import RequestFactory

from access.client_ip import client_address, neighbourhood

pytestmark = pytest.mark.pure

PROXIES = ["10.0.0.0/8", "192.0.2.7", "unix"]


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "1.1.1.1", "203.0.113.5"),  # a stranger says so
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),  # the left end is the client's own words
        ("10.0.0.1", "6.6.6.6, 1.1.1.1, 192.0.2.7", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.8, 10.1.1.1", "192.0.2.8"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, <script>", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_believes_trusted_proxies_only(settings, remote, forwarded, expected):
    settings.TRUSTED_PROXIES = PROXIES
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected


def test_believes_no_header_without_proxies(settings):
    settings.TRUSTED_PROXIES = []
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="1.1.1.1")
    assert client_address(request) == "127.0.0.1"


def test_groups_ipv6_addresses_by_network():
    assert neighbourhood("2001:db8:1:2:3:4:5:6") == neighbourhood("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert neighbourhood("2001:db8:1:3::9") != neighbourhood("2001:db8:1:2::9")
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("") == ""
