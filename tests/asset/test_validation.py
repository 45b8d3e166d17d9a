"""What each field of a host may be."""

import pytest

from asset import validation

pytestmark = pytest.mark.pure

GOOD = {
    "hostname": ["web1", "web-1.example.com", "a_b", "1", "x" * 63 + ".y", "10.0.0.1"],
    "ip": ["10.0.0.1", "127.3.2.1", "::1", "2001:db8::1"],
    "port": [1, 22, 65535],
    "username": ["root", "deploy", "a.b-c_d", "_svc", "user@realm", "7"],
    "sudo": [True, False],
    "legacy_algorithms": [True, False],
    "credential_id": [None, 1, 2**63 - 1],
    "package_port": [None, 1024, 65535],
    "package_address": [None, "10.0.0.1", "2001:db8::1"],
    "labels": [{}, {"zone": "eu 1", "a.b/c": ""}],
    "description": ["", "Über uns; $(x)"],
}
BAD = {
    "hostname": [
        "",
        "-a",
        "a-",
        "a..b",
        ".a",
        "a.",
        "a b",
        "a/b",
        "a;b",
        "$(id)",
        "a\n",
        "ä",
        "x" * 64,
        "a" * 254,
        None,
        7,
        "a\0",
    ],
    "ip": [
        "",
        "1.2.3",
        "256.1.1.1",
        "01.2.3.4",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ho st",
        "1.2.3.4 ",
        None,
        5,
    ],
    "port": [0, 65536, -1, "22", 22.0, True, None],
    "username": ["", "-oProxyCommand=x", ".x", "a b", "a;b", "a\n", "a" * 65, "a$b", None],
    "base_path": [
        "",
        "/",
        "//",
        "relative",
        "/a/../b",
        "/..",
        "/a/.",
        "/a\nb",
        "/a\0b",
        "/" + "a" * 512,
        None,
        "/\x7f",
    ],
    "sudo": [1, "true", None],
    "legacy_algorithms": [1, "yes", None],
    "credential_id": [0, -1, True, "1", 2**63],
    "package_port": [0, 80, 1023, 65536, "8000", True],
    "package_address": ["", "gate", "0.0.0.0", "1.2.3.4\n", 7],
    "labels": [
        [],
        "x",
        {"": "a"},
        {"-a": "b"},
        {"a": 1},
        {"a": "b\n"},
        {"a": "b" * 256},
        {str(n): "" for n in range(65)},
    ],
    "host_key": ["nonsense", 5, None, "ssh-ed25519 AAAA"],
    "description": ["a" * 257, "\ud800", None],
}


@pytest.mark.parametrize("name", GOOD)
def test_keeps_valid_values(name):
    for value in GOOD[name]:
        assert validation.check({name: value}) == ({name: value}, {})


@pytest.mark.parametrize("name", BAD)
def test_rejects_invalid_values(name):
    for value in BAD[name]:
        clean, wrong = validation.check({name: value})
        assert clean == {} and wrong[name], f"{name}={value!r} was taken"


def test_normalizes_base_paths():
    for given in ("/srv/x", "/srv//x/", "//srv/x//"):
        assert validation.base_path(given) == "/srv/x"
    assert validation.base_path("/srv/ü …") == "/srv/ü …"


def test_normalizes_addresses():
    assert validation.ip("2001:DB8:0::1") == "2001:db8::1"
    assert validation.ip("::ffff:10.0.0.1") == "10.0.0.1"


def test_names_every_invalid_and_missing_field():
    clean, wrong = validation.check({"port": 0, "wheels": 4, "sudo": True}, validation.REQUIRED)
    assert clean == {"sudo": True}
    assert set(wrong) == {"port", "wheels", "hostname", "ip"}
