"""References of images, read as Docker reads them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.images import reference
from integrations.images.reference import BadReference, Reference, parse

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "host", "name", "tag", "digest"),
    [
        ("shop", "docker.io", "library/shop", "latest", ""),
        ("team/shop:1.2", "docker.io", "team/shop", "1.2", ""),
        ("index.docker.io/shop", "docker.io", "library/shop", "latest", ""),
        ("registry-1.docker.io/team/shop", "docker.io", "team/shop", "latest", ""),
        ("localhost/shop", "localhost", "shop", "latest", ""),
        ("localhost:5000/shop", "localhost:5000", "shop", "latest", ""),
        ("Registry.Example.com/a/b/c_d__e--f.g:V1_x", "registry.example.com", "a/b/c_d__e--f.g", "V1_x", ""),
        ("10.0.0.1:5000/shop@" + DIGEST, "10.0.0.1:5000", "shop", "", DIGEST),
        ("r.example.com/shop:1@" + DIGEST, "r.example.com", "shop", "1", DIGEST),
        ("[::1]:5000/shop", "[::1]:5000", "shop", "latest", ""),
    ],
)
def test_reads(text, host, name, tag, digest):
    assert parse(text) == Reference(host, name, tag, digest)
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "image_name"),
        ("r.example.com/", "image_reference"),
        ("r.example.com:0/shop", "image_reference"),
        ("r.example.com:65536/shop", "image_reference"),
        ("-r.example.com/shop", "image_reference"),
        ("r..example.com/shop", "image_reference"),
        ("https://r.example.com/shop", "image_reference"),
        ("user:word@r.example.com/shop", "image_digest"),
        ("HOST/shop", "image_name_lower_case"),
        ("r.example.com/Shop", "image_name_lower_case"),
        ("r.example.com/shop.", "image_name"),
        ("r.example.com/a//b", "image_name"),
        ("r.example.com/../b", "image_name"),
        ("r.example.com/a___b", "image_name"),
        ("r.example.com/shop:1+2", "image_tag"),
        ("r.example.com/shop:", "image_tag"),
        ("r.example.com/shop:.x", "image_tag"),
        ("r.example.com/shop:" + "x" * 129, "image_tag"),
        ("r.example.com/shop\n", "image_name"),
        ("r.example.com/shop:1\n", "image_tag"),
        ("r.example.com/shop@sha256:abc", "image_digest"),
        ("r.example.com/shop@sha512:" + "a" * 128, "image_digest"),
        ("r.example.com/" + "a" * 250, "too_long"),
        ("a" * 600, "too_long"),
    ],
)
def test_refuses(text, code):
    with pytest.raises(BadReference) as refused:
        parse(text)
    assert refused.value.message.code == code


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        known = parse(text)
    except BadReference:
        return
    assert parse(str(known)) == known


def test_a_hostile_name_takes_no_time():
    begun = time.monotonic()
    for text in ("a" * 500, "a-" * 250, "a." * 126 + "!", "a/" * 250, "[" + ":" * 400):
        with pytest.raises(BadReference):
            parse(text)
    assert time.monotonic() - begun < 0.2


def test_several_names_are_one_registry():
    url, hosts = "https://r.example.com:443", ["r.example.com:8443", "Mirror.example.com"]
    for text in ("r.example.com/a", "r.example.com:443/a", "r.example.com:8443/a", "mirror.example.com/a"):
        assert reference.is_at(parse(text), url, hosts), text
    for text in ("a", "r.example.com:80/a", "r.example.com.evil.example/a", "mirror.example.com:5000/a"):
        assert not reference.is_at(parse(text), url, hosts), text
    assert reference.is_at(parse("r.example.com:80/a"), "http://r.example.com", [])
    assert not reference.is_at(parse("r.example.com:443/a"), "http://r.example.com", [])


def test_docker_hub_has_another_server_than_its_name():
    for url in ("https://docker.io", "https://index.docker.io/", "https://registry-1.docker.io"):
        assert (reference.host_of(url), reference.server_of(url)) == ("docker.io", "https://registry-1.docker.io")
    assert reference.is_at(parse("shop"), "https://registry-1.docker.io", [])
    assert reference.server_of("http://r.example.com:5000/") == "http://r.example.com:5000"


SERVICE = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", fullmatch=True)
VERSION = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", fullmatch=True)


@given(SERVICE, VERSION)
def test_our_names_become_names_that_a_registry_takes(service, version):
    text = f"r.example.com/{reference.repository('team/x', service)}:{reference.tag(version)}"
    assert str(parse(text)) == text


@given(st.lists(VERSION, min_size=2, max_size=2, unique=True))
def test_two_versions_never_share_a_tag(versions):
    assert reference.tag(versions[0]) != reference.tag(versions[1])


def test_how_our_names_are_changed():
    assert reference.repository("", "shop") == "shop"
    assert reference.repository("team", "shop-api.v2") == "team/shop-api.v2"
    assert reference.repository("team", "Shop+API") == "team/shop-api-11c887c5"
    assert reference.tag("1.2.3") == "1.2.3"
    assert reference.tag("1.0+a") == "1.0_a-1a50262a"
    assert reference.tag("1.0_a") == "1.0_a"
