"""The registry's own protocol, against real registries: Basic and tokens, TLS, rights, and what goes wrong."""

import hashlib
import json
import time

import pytest

from integrations import registry as parts
from integrations.images import challenges, registry_client
from integrations.images.errors import ImageMissing, ImageUnusable, RegistryAway, RegistryFailed, SignInFailed
from integrations.images.reference import parse
from messages.rendering import english
from tests.lab import image_registry
from tests.lab.authority import Authority
from tests.lab.busy import within
from tests.lab.image_registry import ImageRegistry
from tests.lab.token_server import TokenServer

pytestmark = pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)
WORD = "pa55-wörd$x"


def part(server, **more):
    url = server if isinstance(server, str) else server.url
    return parts.wrapped("registry", {"url": url, "user": "robot$ci", "password": WORD, **more})


def resolve(server, text, seconds=10.0, **more):
    settings = part(server, **more)
    host = settings["url"].partition("//")[2].rstrip("/")
    return registry_client.resolve(settings, None, parse(f"{host}/{text}"), seconds=seconds)


def failure(kind, server, text="team/shop:1.0", **more) -> str:
    with pytest.raises(kind) as failed:
        resolve(server, text, **more)
    sentence = english(failed.value.message)
    assert WORD not in sentence and "pa55" not in repr(failed.value)
    return sentence


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A registry with Basic, an image and an index."""
    with ImageRegistry(tmp_path_factory.mktemp("registry"), users={"robot$ci": WORD}) as server:
        server.image = server.push("team/shop", "1.0")
        server.oci = server.push("team/shop", "oci", oci=True)
        server.index = server.push_index("team/shop", "2.0")
        server.list = server.push_index("team/shop", "list", oci=False)
        yield server


def test_a_tag_becomes_the_digest_of_the_bytes(lab):
    found = resolve(lab, "team/shop:1.0")
    assert found.digest == lab.image and str(found.reference) == f"{lab.host}/team/shop:1.0@{lab.image}"
    assert [one.name for one in found.platforms] == ["linux/amd64"] and found.size > 100
    assert resolve(lab, f"team/shop@{lab.image}").reference.pinned == found.reference.pinned
    assert resolve(lab, "team/shop:oci").digest == lab.oci


def test_an_index_names_its_platforms(lab):
    for tag, digest in (("2.0", lab.index), ("list", lab.list)):
        found = resolve(lab, f"team/shop:{tag}")
        assert (found.digest, found.size) == (digest, None)
        assert [one.name for one in found.platforms] == ["linux/amd64", "linux/arm64"]


def test_what_is_not_there_is_said_in_the_registrys_words(lab):
    assert "MANIFEST_UNKNOWN: manifest unknown" in failure(ImageMissing, lab, "team/shop:9")
    assert "MANIFEST_UNKNOWN" in failure(ImageMissing, lab, "team/other:1")
    assert "MANIFEST_UNKNOWN" in failure(ImageMissing, lab, "team/shop@sha256:" + "0" * 64)


def test_a_wrong_password_and_none(lab):
    said = failure(SignInFailed, lab, password="an0ther-word")
    assert "does not accept the user and password" in said and "an0ther" not in said
    assert "none is set" in failure(SignInFailed, lab, user="", password="")


@pytest.mark.parametrize("mode", ["answer", "access"])
def test_tokens_from_another_host(tmp_path, mode):
    with (
        TokenServer({"robot$ci": WORD}, address="127.0.0.7") as tokens,
        ImageRegistry(tmp_path, tokens=tokens) as server,
    ):
        digest = server.push("team/shop", "1.0")
        tokens.mode = mode
        assert resolve(server, "team/shop:1.0").digest == digest
        assert "account=robot%24ci" in tokens.seen[0][0] and "pull" in tokens.seen[0][0]
        tokens.may["robot$ci"] = set()
        failure(ImageMissing, server)
        tokens.may[""] = {"pull"}
        assert resolve(server, "team/shop:1.0", user="", password="").digest == digest
        assert "Authorization" not in tokens.seen[-1][1]
        assert "wrong user or password" in failure(SignInFailed, server, password="an0ther-word")


def test_a_token_server_that_hangs_redirects_or_is_gone(tmp_path):
    with TokenServer({"robot$ci": WORD}) as tokens, ImageRegistry(tmp_path, tokens=tokens) as server:
        tokens.mode = "hang"
        said = failure(RegistryAway, server, seconds=within(1))  # enough for what comes before the token server
        assert "token server 127.0.0.1" in said and "in time" in said
        tokens.mode, tokens.elsewhere = "redirect", server.url
        assert "redirects (status 302)" in failure(SignInFailed, server)
        tokens.__exit__()
        assert "gave no answer" in failure(RegistryAway, server)


def test_the_password_does_not_go_to_a_plain_token_server(tmp_path):
    authority = Authority()
    with (
        TokenServer({"robot$ci": WORD}) as tokens,
        ImageRegistry(tmp_path, tls=authority.issue("r"), tokens=tokens) as server,
    ):
        assert "over http" in failure(SignInFailed, server, ca=authority.pem)
        assert tokens.seen == []


def test_tokens_over_tls(tmp_path):
    authority = Authority()
    (tmp_path / "tokens").mkdir()
    with (
        TokenServer({"robot$ci": WORD}, tls=authority.issue("tokens"), folder=tmp_path / "tokens") as tokens,
        ImageRegistry(tmp_path / "registry", tls=authority.issue("r"), tokens=tokens) as server,
    ):
        digest = server.push("team/shop", "1.0")
        assert resolve(server, "team/shop:1.0", ca=authority.pem).digest == digest


def test_tls_and_client_certificates(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    authority, stranger = Authority(), Authority()
    certificate, key = authority.issue("client")
    own = {"client_cert": certificate, "client_key": key}
    with ImageRegistry(
        tmp_path / "a",
        users={"robot$ci": WORD},
        tls=authority.issue("r"),
        client_ca=authority.pem,
        client=(certificate, key),
    ) as server:
        digest = server.push("team/shop", "1.0")
        assert resolve(server, "team/shop:1.0", ca=authority.pem, **own).digest == digest
        assert "is not trusted" in failure(RegistryAway, server, **own)
        assert "is not trusted" in failure(RegistryAway, server, ca=stranger.pem, **own)
        assert resolve(server, "team/shop:1.0", verify=False, **own).digest == digest
        assert "client certificate" in failure(RegistryAway, server, ca=authority.pem)
        other, other_key = stranger.issue("client")
        said = failure(RegistryAway, server, ca=authority.pem, client_cert=other, client_key=other_key)
        assert "client certificate" in said
        said = failure(RegistryAway, server.url.replace("https", "http"))
        assert "speaks TLS" in said


def test_https_spoken_to_a_plain_port(lab):
    assert "does not speak TLS" in failure(RegistryAway, lab.url.replace("http", "https"))


def test_nothing_answers(lab):
    assert "could not be reached" in failure(RegistryAway, "http://127.0.0.1:1")


def test_another_name_of_the_registry_is_asked_at_its_address(lab):
    settings = part(lab, hosts=["images.internal"])
    found = registry_client.resolve(settings, None, parse("images.internal/team/shop:1.0"))
    assert found.reference.pinned == f"images.internal/team/shop@{lab.image}"


def said(*errors) -> bytes:
    return json.dumps({"errors": errors}).encode()


def manifest(**more) -> bytes:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1, "digest": "sha256:" + "0" * 64}
    kind = "application/vnd.oci.image.manifest.v1+json"
    return json.dumps({"mediaType": kind, "config": config, "layers": [], **more}).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((200, manifest(), {"Docker-Content-Digest": "sha256:" + "1" * 64}), ImageUnusable, "is not believed"),
        ((200, b"[" * 100_000, {}), ImageUnusable, "no image|not an image"),
        ((200, b"{}", {}), ImageUnusable, "not an image"),
        ((200, manifest(config={"mediaType": "application/vnd.cncf.helm.config.v1+json"}), {}), ImageUnusable, "image"),
        ((200, manifest(layers=[{"size": -1}]), {}), ImageUnusable, "image"),
        ((200, manifest(layers=[{"size": 10**400}]), {}), ImageUnusable, "image"),
        ((200, b"x" * (5 * 2**20), {}), RegistryAway, "too large"),
        ((307, b"", {"Location": "http://127.0.0.1:1/"}), RegistryAway, "redirects"),
        ((500, b"<html>\x1b[31m", {}), RegistryFailed, "status 500"),
        (
            (
                404,
                said({"code": "A\x1b[31m\u202eB", "message": "x" * 9000, "detail": {"y": 1}}),
                {},
            ),
            ImageMissing,
            "A",
        ),
        ((404, said("x", None, 3, {"code": 4}), {}), ImageMissing, "404"),
        ((404, said({"code": f"said {WORD}"}), {}), ImageMissing, "said"),
        ((401, b"", {"WWW-Authenticate": 'Bearer realm="javascript:x"'}), SignInFailed, "no usable address"),
        ((401, b"", {"WWW-Authenticate": 'Bearer realm="http://a:b@c/"'}), SignInFailed, "no usable address"),
        ((401, b"", {"WWW-Authenticate": "," * 5000 + "="}), ImageMissing, "401"),
    ],
)
def test_a_hostile_registry(hostile, answer, kind, words):
    hostile.answer = answer
    with pytest.raises(kind, match=words) as failed:
        resolve(hostile, "team/shop:1.0")
    sentence = english(failed.value.message)
    assert sentence.isprintable() and len(sentence) < 1000 and WORD not in sentence


def test_a_registry_that_never_ends(hostile):
    hostile.answer = "drip"
    assert "in time" in failure(RegistryAway, hostile, seconds=0.7)


def test_a_digest_is_checked_also_where_the_registry_says_none(hostile):
    hostile.answer = (200, manifest(), {})
    digest = "sha256:" + hashlib.sha256(manifest()).hexdigest()
    assert resolve(hostile, "team/shop:1").digest == digest
    with pytest.raises(ImageUnusable, match="another content"):
        resolve(hostile, "team/shop@sha256:" + "0" * 64)


def test_a_token_that_breaks_the_header_is_not_sent(hostile):
    hostile.tokens = {"token": "a\r\nX-Evil: 1"}
    hostile.answer = (401, b"", {"WWW-Authenticate": f'Bearer realm="{hostile.url}/token",service="x"'})
    assert "gave no token" in failure(SignInFailed, hostile)


def test_words_of_a_registry_show_no_password(hostile):
    hostile.answer = (403, said({"code": "DENIED", "message": f"{WORD} may not"}), {})
    sentence = failure(ImageMissing, hostile)
    assert "DENIED" in sentence and "may not" in sentence


def test_through_the_proxy_of_the_settings(hostile, lab):
    hostile.answer = (404, said({"code": "SEEN_BY_PROXY"}), {})
    proxies = {"http": hostile.url, "https": "", "no_proxy": []}
    settings, image = part(lab), parse(f"{lab.host}/team/shop:1.0")
    with pytest.raises(ImageMissing, match="SEEN_BY_PROXY"):
        registry_client.resolve(settings, proxies, image)
    assert hostile.seen[0][1] == f"{lab.url}/v2/team/shop/manifests/1.0"
    direct = {**proxies, "no_proxy": ["127.0.0.1"]}
    assert registry_client.resolve(settings, direct, image).digest == lab.image


def test_a_challenge_takes_no_time():
    begun = time.monotonic()
    for header in ('Bearer a="\\' * 2000, "a=" * 5000, 'a="' * 5000, "x " * 5000, '\\"' * 5000):
        challenges.parse(header)
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("header", "scheme"),
    [
        ('Basic realm="a, b"', "basic"),
        ('Negotiate, Basic realm="x", Bearer realm="https://t/", service="r"', "bearer"),
        ('BEARER Realm="https://t/"', "bearer"),
        ("Negotiate abc==", None),
        ("", None),
    ],
)
def test_which_challenge_is_answered(header, scheme):
    challenge = challenges.chosen(challenges.parse(header))
    assert (challenge.scheme if challenge else None) == scheme
    if scheme == "bearer":
        assert challenge.params["realm"] == "https://t/"
