"""The settings `docker`: what they may be, certificates in one archive, and the test of them at a real engine."""

import base64
import gzip
import tarfile

import pytest

from access.problems import Problem
from integrations import registry
from integrations.docker import engine
from integrations.docker.certificate_archive import MAX_ARCHIVE, MAX_TEXT, BadArchive, unpacked
from integrations.docker.settings import errors_of
from tests.lab.authority import Authority
from tests.lab.image_registry import ImageRegistry

from .doors import door, silent
from .parts import PEM, archive_of, member, part, tar

pytestmark = pytest.mark.django_db


def coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def steps(answer, name="docker") -> list[tuple[str, bool, str]]:
    found = next(one for one in answer.json()["findings"] if one["part"] == name)
    return [(step["what"], step["ok"], step["code"]) for step in found["steps"]]


@pytest.mark.parametrize(
    ("ca", "certificate", "key"),
    [
        ("ca.pem", "cert.pem", "key.pem"),
        ("./ca.crt", "./client.crt", "./client.key"),
        ("certs/CA.PEM", "certs/client-cert.pem", "certs/client-key.pem"),
        ("tls/docker/ca.pem", "tls/docker/cert.pem", "tls/docker/key.pem"),
        ("ca-cert.pem", "tls.crt", "tls.key"),
    ],
)
def test_archives_as_people_have_them(ca, certificate, key):
    members = (member(ca, PEM + "1"), member(certificate, PEM + "2"), member(key, PEM + "3"), member("README"))
    others = (member("._ca.pem", b"\0"), member("ca-key.pem", "the authority's own"), member("server-key.pem"))
    for whole in (tar(*members), gzip.compress(tar(*members)), tar(*members, *others)):
        assert unpacked(coded(whole)) == {"ca": PEM + "1", "client_cert": PEM + "2", "client_key": PEM + "3"}
    assert unpacked(coded(tar(members[0]))) == {"ca": PEM + "1", "client_cert": "", "client_key": ""}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "no_tar"),
        (b"PK\x03\x04" + b"\0" * 600, "no_tar"),
        (b"\x1f\x8b" + b"\0" * 600, "no_tar"),
        (tar(member("ca.pem", PEM * 40))[:900], "no_tar"),
        (gzip.compress(b"\0" * 40_000_000), "size"),
        (b"\0" * (MAX_ARCHIVE + 1), "size"),
        (tar(*(member(f"{number}.txt") for number in range(300))), "files"),
        (tar(member("hello.txt")), "incomplete"),
        (tar(), "incomplete"),
        (tar(member("ca.pem"), member("cert.pem")), "incomplete"),
        (tar(member("ca.pem"), member("key.pem")), "incomplete"),
        (tar(member("ca.pem", "", type=tarfile.SYMTYPE, linkname="/etc/shadow")), "kind"),
        (tar(member("ca.pem", "", type=tarfile.LNKTYPE, linkname="key.pem")), "kind"),
        (tar(member("ca.pem", "", type=tarfile.CHRTYPE)), "kind"),
        (tar(member("ca.pem", "", type=tarfile.FIFOTYPE)), "kind"),
        (tar(member("../../ca.pem")), "kind"),
        (tar(member("a/ca.pem"), member("b/ca.crt")), "twice"),
        (tar(member("ca.pem", "x" * (MAX_TEXT + 1))), "text_size"),
        (tar(member("ca.pem", b"\x30\x82\x01\x0a")), "pem"),
        (tar(member("ca.pem", PEM + "é")), "pem"),
    ],
)
def test_archives_that_are_refused(raw, code):
    with pytest.raises(BadArchive) as refused:
        unpacked(coded(raw))
    assert refused.value.message.code == f"certificate_archive.{code}"


def test_archive_that_is_no_base64():
    for text in ("not base64!", "ÄÖ", "a" * (MAX_ARCHIVE * 2)):
        with pytest.raises(BadArchive):
            unpacked(text)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "tcp://d:1"}, None),
        ({"url": "tcp://d:1", "network": "none"}, None),
        ({"url": "tcp://d:1", "network": "builds_2.x"}, None),
        ({"url": "http://d:1"}, "engine_address"),
        ({"url": "unix:///s", "ca": PEM}, "engine_socket_tls"),
        ({"url": "unix:///s", "tls": True}, "engine_socket_tls"),
        ({"url": "tcp://d:1", "network": "host"}, "engine_network_shared"),
        ({"url": "tcp://d:1", "network": "container:web"}, "engine_network_shared"),
        ({"url": "tcp://d:1", "network": "a b"}, "engine_network"),
        ({"url": "tcp://d:1", "network": "a\n"}, "engine_network"),
    ],
)
def test_fields(fields, code):
    assert [error.reason.code for error in errors_of(part(**fields))] == ([code] if code else [])


def test_not_configured():
    with pytest.raises(Problem) as problem:
        registry.require("docker")
    assert problem.value.code == "not_configured" and "/settings/#docker" in problem.value.hint


def test_engine_and_registry_together(api, docker_engine, tmp_path):
    """The engine itself signs in at the registry; its archive is kept as texts, and its key is never shown."""
    with ImageRegistry(tmp_path / "registry", users={"ci": "right word"}) as lab:
        given = {"url": docker_engine.url, "archive": coded(archive_of(docker_engine, "tls/{}"))}
        document = {"docker": given, "registry": {"url": lab.url, "user": "ci", "password": "right word"}}
        saved = api().put("/settings/", document)
        assert saved.status_code == 200, saved.content
        assert steps(saved) == [
            ("connect", True, "probe.engine"),
            ("registry", True, "probe.engine_signed_in"),
        ]
        kept = saved.json()["settings"]["docker"]
        assert kept["ca"] == docker_engine.ca and kept["client_key_set"] and "archive" not in kept
        assert docker_engine.client[1] not in saved.content.decode()
        document["registry"]["password"] = "another word"
        wrong = api().post("/settings/check", document)
        assert steps(wrong)[1] == ("registry", False, "probe.engine_sign_in")
        assert "another word" not in wrong.content.decode()
    assert engine.connect(registry.require("docker")).version


def test_what_the_test_finds(api, docker_engine):
    def found(**fields) -> list[tuple[str, bool, str]]:
        return steps(api().post("/settings/check", {"docker": {"url": docker_engine.url, **fields}}))

    assert found() == [("connect", False, "engine_away.speaks_tls")]
    assert found(ca=Authority().pem) == [("connect", False, "engine_away.certificate")]
    everything = {"archive": coded(archive_of(docker_engine))}
    assert found(**everything, network="no-such")[1] == ("network", False, "probe.engine_network_missing")
    assert found(**everything, network="none") == [("connect", True, "probe.engine")]


def test_engine_that_hangs_ends_the_test_in_time(api, monkeypatch):
    monkeypatch.setattr(engine, "SHORT", 1.0)
    with door(silent) as url:
        checked = api().post("/settings/check", {"docker": {"url": url}})
    assert steps(checked) == [("connect", False, "engine_away.timeout")]


def test_refused_fields_in_the_api(api):
    document = {"docker": {"url": "ssh://x", "network": "host", "archive": coded(tar(member("x")))}}
    answer = api().put("/settings/", document)
    errors = {error["pointer"]: error["reason"] for error in answer.json()["errors"]}
    assert answer.status_code == 422 and set(errors) == {"/docker/url", "/docker/network", "/docker/archive"}
    assert errors["/docker/archive"] == "has no ca.pem or the like; it has: x"


def test_saved_key_does_not_go_to_another_engine(api, docker_engine):
    document = {"docker": {"url": docker_engine.url, "archive": coded(archive_of(docker_engine))}}
    assert api().put("/settings/", document).status_code == 200
    kept = {"ca": docker_engine.ca, "client_cert": docker_engine.client[0]}
    answer = api().put("/settings/", {"docker": {"url": "tcp://other.example.com:2376", **kept}})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/docker/client_key"]
