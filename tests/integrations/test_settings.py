"""Settings at run time: tested as a whole against real servers, saved if they pass, restored, and kept secret."""

import json
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection

from access.problems import Problem
from access.secrets import Secret
from audit.models import History
from integrations import probes, registry, storage
from integrations.models import Setting
from tests.integrations import servers
from tests.lab.busy import within

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def gitlab(server, **more):
    return {"gitlab": {"url": server.url, "token": "glpat-1234", **more}}


def steps(answer, part) -> dict[str, bool]:
    found = next(one for one in answer.json()["findings"] if one["part"] == part)
    return {step["what"]: step["ok"] for step in found["steps"]}


def test_lists_what_is_not_configured(api):
    answer = api().get("/settings/").json()
    assert answer["id"] is None
    assert answer["settings"] == dict.fromkeys(registry.PARTS)
    assert {one["part"] for one in answer["missing"]} == set(registry.PARTS)
    assert all(one["without"] for one in answer["missing"])


def test_not_configured_links_to_the_page():
    with pytest.raises(Problem) as problem:
        registry.require("gitlab")
    assert (problem.value.status, problem.value.code) == (409, "not_configured")
    assert "/settings/" in problem.value.hint


def test_saves_what_passes_its_test(api, tmp_path):
    (tmp_path / "packages").mkdir()
    with servers.gitlab() as lab, servers.jenkins() as ci, servers.registry() as images:
        document = {
            **gitlab(lab),
            "jenkins": {"url": ci.url, "user": "ci", "token": "t0ken"},
            "registry": {"url": images.url, "user": "ci", "password": "passw0rd"},
            "package_store": {"folder": str(tmp_path / "packages")},
            "proxies": {"no_proxy": ["127.0.0.1"]},
            "callbacks": {"allowed": ["10.0.0.0/8"]},
        }
        checked = api().post("/settings/check", document)
        assert checked.json()["ok"], checked.content
        assert not Setting.objects.exists()
        saved = api().put("/settings/", document)
    assert saved.status_code == 200, saved.content
    assert steps(saved, "package_store") == dict.fromkeys(["folder", "list", "write", "read", "delete"], True)
    assert steps(saved, "gitlab") == {"log in": True, "list": True}
    assert list((tmp_path / "packages").iterdir()) == []
    assert [one["part"] for one in saved.json()["missing"]] == ["docker"]  # tests/integrations/docker has a real one
    found = registry.require("gitlab")
    assert (found["url"], found["token"].reveal(), found["verify"]) == (lab.url, "glpat-1234", True)
    assert isinstance(registry.require("registry")["password"], Secret)


def test_saves_nothing_when_one_integration_fails(api, tmp_path):
    with servers.gitlab() as lab:
        document = {**gitlab(lab), "package_store": {"folder": str(tmp_path / "nosuch")}}
        answer = api().put("/settings/", document)
        assert (answer.status_code, answer.json()["code"]) == (422, "settings_test_failed")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/package_store"]
        checked = api().post("/settings/check", document).json()
    assert {found["part"]: found["ok"] for found in checked["findings"]} == {"gitlab": True, "package_store": False}
    assert not Setting.objects.exists()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"/api/v4/user": (401, b"")}, "wrong"),
        ({"/api/v4/user": (302, b"")}, "redirect"),
        ({}, "nothing at this"),
        ({"/api/v4/user": (200, b"<html>")}, "Check the address"),
        ({"/api/v4/user": (200, b"[]")}, "Check the address"),
        ({"/api/v4/user": (200, b"{}"), "/api/v4/projects": (403, b"")}, "does not have the permission"),
        ({"/api/v4/user": (500, b"")}, "500"),
        ({"/api/v4/user": (200, b"x" * 2_000_000)}, "too large"),
    ],
)
def test_describes_what_is_wrong_with_a_server(api, answers, words):
    with servers.Server(answers) as server:
        answer = api().put("/settings/", gitlab(server))
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "/elsewhere" not in [path for path, _ in server.seen]


def test_findings_keep_codes_and_parameters(api):
    with servers.Server({"/api/v4/user": (500, b"")}) as server:
        findings = api().post("/settings/check", gitlab(server)).json()["findings"]
    step = findings[0]["steps"][0]
    assert (step["code"], step["params"]) == ("probe.status", {"status": 500})
    assert probes.rendered(findings)[0]["steps"][0]["detail"] == step["detail"]
    old = [{"part": "gitlab", "ok": False, "seconds": 1, "steps": [{"what": "list", "ok": False, "detail": "no"}]}]
    assert probes.rendered(old)[0]["steps"][0]["detail"] == "no"


def test_reports_servers_that_do_not_answer(api, monkeypatch):
    monkeypatch.setattr(probes, "TIMEOUT", 0.5)
    with servers.gitlab(delay=6) as server:
        begun = time.monotonic()
        answer = api().post("/settings/check", gitlab(server)).json()
        assert time.monotonic() - begun < within(5.5)
    assert not answer["ok"]
    assert "No answer within" in answer["findings"][0]["steps"][0]["detail"]


def test_tls_settings(api, tmp_path):
    authority, stranger = servers.Authority(), servers.Authority()
    certificate, key = authority.issue("deployer")
    with servers.gitlab(tls=authority.issue("server"), folder=tmp_path) as lab:
        ask = lambda **more: api().post("/settings/check", gitlab(lab, **more)).json()
        assert "not trusted" in ask()["findings"][0]["steps"][0]["detail"]
        assert ask(ca=authority.pem)["ok"]
        assert not ask(ca=stranger.pem)["ok"]
        assert ask(verify=False)["ok"]
    with servers.gitlab(tls=authority.issue("server"), client_ca=authority.pem, folder=tmp_path) as lab:
        ask = lambda **more: api().post("/settings/check", gitlab(lab, **more)).json()
        assert not ask(ca=authority.pem)["ok"]
        assert ask(ca=authority.pem, client_cert=certificate, client_key=key)["ok"]
        other = stranger.issue("stranger")
        assert not ask(ca=authority.pem, client_cert=other[0], client_key=other[1])["ok"]
        saved = api().put("/settings/", gitlab(lab, ca=authority.pem, client_cert=certificate, client_key=key))
    assert saved.status_code == 200
    assert key.splitlines()[1] not in saved.content.decode()
    assert saved.json()["settings"]["gitlab"]["client_key_set"] is True


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"gitlab": {"url": "nonsense"}}, "/gitlab/url"),
        ({"gitlab": {"url": "file:///etc/passwd"}}, "/gitlab/url"),
        ({"gitlab": {"url": "http://a:b@x/"}}, "/gitlab/url"),
        ({"gitlab": {}}, "/gitlab/url"),
        ({"gitlab": {"url": "http://x", "ca": "nonsense"}}, "/gitlab/ca"),
        ({"gitlab": {"url": "http://x", "client_cert": "x"}}, "/gitlab/client_key"),
        ({"gitlab": {"url": "http://[::1"}}, "/gitlab/url"),
        ({"gitlab": {"url": "http://x:99999"}}, "/gitlab/url"),
        ({"package_store": {"folder": "relative"}}, "/package_store/folder"),
        ({"package_store": {"kind": "s3"}}, "/package_store/bucket"),
        ({"package_store": {"kind": "x"}}, "/package_store/kind"),
        ({"proxies": {"http": "x"}}, "/proxies/http"),
        ({"nosuch": {}}, "/nosuch"),
        ({"gitlab": {"url": "https://g.example", "token": "x", "ca": "\u00e9"}}, "/gitlab/ca"),
        (
            {
                "jenkins": {
                    "url": "https://g.example",
                    "user": "x",
                    "token": "x",
                    "client_cert": "\U0001f600",
                    "client_key": "\U0001f600",
                }
            },
            "/jenkins/ca",
        ),
    ],
)
def test_points_at_invalid_fields(api, document, pointer):
    for answer in (api().post("/settings/check", document), api().put("/settings/", document)):
        assert answer.status_code == 422
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_secrets_are_write_only(api):
    with servers.gitlab() as lab:
        saved = api().put("/settings/", gitlab(lab))
    for answer in (saved, api().get("/settings/"), api().get("/settings/history"), api().get("/history/")):
        assert b"glpat-1234" not in answer.content
    with connection.cursor() as cursor:
        cursor.execute("SELECT document FROM setting")
        assert "glpat" not in cursor.fetchone()[0]
    assert History.objects.get(subject="settings").after == {"parts": ["gitlab"], "changed": ["gitlab"]}


def test_keeps_secrets_for_the_same_server_only(api):
    with servers.gitlab() as lab, servers.gitlab() as other:
        api().put("/settings/", gitlab(lab))
        assert api().put("/settings/", {"gitlab": {"url": lab.url}}).status_code == 200
        assert registry.require("gitlab")["token"].reveal() == "glpat-1234"
        answer = api().put("/settings/", {"gitlab": {"url": other.url}})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/gitlab/token")
        assert other.seen == []


def test_restores_revisions_that_pass(api):
    with servers.gitlab() as lab:
        first = api().put("/settings/", gitlab(lab)).json()
        api().put("/settings/", {})
        assert registry.configured("gitlab") is None
        rows = api().get("/settings/history").json()
        assert [row["created_by"] for row in rows["data"]] == ["ann", "ann"]
        back = api().post(f"/settings/history/{first['id']}/restore")
        assert (back.status_code, back.json()["restored"]) == (200, first["id"])
        assert registry.require("gitlab")["token"].reveal() == "glpat-1234"
        api().put("/settings/", {})
    gone = api().post(f"/settings/history/{first['id']}/restore")
    assert gone.json()["code"] == "settings_test_failed"
    assert registry.configured("gitlab") is None
    assert api().post("/settings/history/999/restore").status_code == 404
    assert Setting.objects.count() == 4


def test_masks_secrets_in_findings(api):
    with servers.Server({"/api/v4/user": (200, {"username": "glpat-1234"}), "/api/v4/projects": (200, [])}) as server:
        answer = api().post("/settings/check", gitlab(server))
    assert b"glpat-1234" not in answer.content


def test_uses_proxies_except_for_no_proxy(api):
    answers = {
        "http://gitlab.invalid/api/v4/user": (200, {"username": "x"}),
        "/": (200, b""),
        "http://gitlab.invalid/api/v4/projects": (200, []),
    }
    with servers.Server(answers) as proxy:
        document = {"gitlab": {"url": "http://gitlab.invalid", "token": "t"}, "proxies": {"http": proxy.url}}
        assert api().post("/settings/check", document).json()["ok"]
        document["proxies"]["no_proxy"] = [".invalid"]
        assert not api().post("/settings/check", document).json()["ok"]


# --- the package store ------------------------------------------------------------------------------------------------


def test_stores_packages_in_the_configured_folder(api, tmp_path):
    chosen = storage.ConfiguredStorage(tmp_path / "default")
    chosen.save("a", ContentFile(b"1"))
    assert (tmp_path / "default/a").exists()
    (tmp_path / "other").mkdir()
    assert api().put("/settings/", {"package_store": {"folder": str(tmp_path / "other")}}).status_code == 200
    chosen.reload()
    chosen.save("b", ContentFile(b"2"))
    assert (tmp_path / "other/b").exists()
    assert chosen.path("b") == str(tmp_path / "other/b")


def test_caches_the_settings_of_the_store(tmp_path, django_assert_num_queries):
    chosen = storage.ConfiguredStorage(tmp_path)
    with django_assert_num_queries(1):
        assert not chosen.exists("a")
        assert not chosen.exists("b")


def test_s3_options():
    part = registry.wrapped(
        "package_store",
        {
            "kind": "s3",
            "bucket": "b",
            "access_key": "a",
            "secret_key": "s",
            "endpoint": "https://s3.example",
            "prefix": "p",
            "verify": False,
        },
    )
    options = storage.s3_options(part)
    assert (options["bucket_name"], options["secret_key"], options["location"]) == ("b", "s", "p")
    assert (options["endpoint_url"], options["verify"], options["region_name"]) == ("https://s3.example", False, None)
    try:
        import storages.backends.s3  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="django-storages"):
            storage.build(part)


def test_unusable_folders_stop_the_start(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.DATA_DIR, settings.PACKAGE_ROOT = tmp_path, tmp_path / "file"
    with pytest.raises(SystemExit, match="PACKAGE_ROOT must be a writable folder"):
        storage.check_folders()
    settings.PACKAGE_ROOT = tmp_path / "new"
    storage.check_folders()
    Setting.objects.create(document=Secret(json.dumps({"package_store": {"kind": "local", "folder": "/no/such"}})))
    with pytest.raises(
        SystemExit, match="The package store of the settings cannot be used: /no/such is not an existing folder"
    ):
        storage.check_folders()
    assert isinstance(storage.build({"kind": "local", "folder": str(tmp_path)}), FileSystemStorage)
