"""The settings page: integrations are tested as a whole before they are saved; earlier revisions are restored."""

from typing import get_args

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from api.resources.settings import SettingsDocument
from audit.models import History
from console.forms.settings import FORMS
from integrations import registry
from integrations.docker.certificate_archive import MAX_ARCHIVE
from integrations.models import Setting
from tests.integrations import servers
from tests.integrations.docker.parts import archive_of

pytestmark = pytest.mark.django_db


def gitlab(server, **more) -> dict:
    return {
        "seen": seen(),
        "gitlab-on": "on",
        "gitlab-url": server.url,
        "gitlab-verify": "on",
        "gitlab-token": "glpat-1234",
        "package_store-kind": "local",
        **more,
    }


def seen() -> int | str:
    """Return what the page, loaded now, sends along: which settings it shows."""
    return getattr(Setting.objects.order_by("-pk").first(), "pk", "")


def test_lists_unconfigured_integrations(admin, operator):
    for client in (admin, operator):
        page = client.get("/settings/").content.decode()
        for name in registry.PARTS:
            assert f'href="#{name}"' in page
        assert "Builds cannot be started in GitLab" in page
    assert "Only administrators can view" in page and "<input" not in page.partition("<main")[2].partition("</main")[0]
    assert operator.post("/settings/", {"do": "save"}).status_code == 403
    assert operator.get("/settings/history/").status_code == 403


def test_tests_and_saves_settings(admin, tmp_path):
    (tmp_path / "good").mkdir()
    with servers.gitlab() as lab:
        both = gitlab(lab, **{"package_store-on": "on", "package_store-folder": str(tmp_path / "nosuch")})
        tried = admin.post("/settings/", {**both, "do": "test"})
        assert tried.status_code == 200 and not Setting.objects.exists()
        page = tried.content.decode()
        assert "As deploy-bot" in page and "is not an existing folder" in page
        refused = admin.post("/settings/", {**both, "do": "save"})
        page = refused.content.decode()
        assert refused.status_code == 422 and not Setting.objects.exists()
        assert "Not saved" in page and "As deploy-bot" in page and "is not an existing folder" in page
        assert "glpat-1234" not in page and lab.url in page, "what was typed stays, a secret does not"
        good = {**both, "package_store-folder": str(tmp_path / "good"), "do": "save"}
        assert admin.post("/settings/", good, headers={"HX-Request": "true"})["HX-Redirect"] == "/settings/"
    page = admin.get("/settings/").content.decode()
    number = Setting.objects.get().pk  # not 1 where another test has counted on a sequence of PostgreSQL
    assert "glpat-1234" not in page and "never shown" in page and f"Revision {number}, by ada" in page
    assert History.objects.get(subject="settings").actor == "ada"


def test_empty_secret_keeps_saved_one(admin):
    with servers.gitlab() as lab, servers.gitlab() as other:
        admin.post("/settings/", gitlab(lab, do="save"))
        again = gitlab(lab, **{"gitlab-token": "", "gitlab-webhook_secret": "s" * 20, "do": "save"})
        assert admin.post("/settings/", again).status_code == 302
        assert registry.require("gitlab")["token"].reveal() == "glpat-1234"
        assert registry.require("gitlab")["webhook_secret"].reveal() == "s" * 20
        moved = admin.post("/settings/", gitlab(other, **{"gitlab-token": "", "do": "save"}))
        assert moved.status_code == 422 and "must be given again" in moved.content.decode() and other.seen == []
    nonsense = {"gitlab-on": "on", "gitlab-url": "nonsense", "do": "save", "seen": seen()}
    wrong = admin.post("/settings/", nonsense).content.decode()
    assert 'aria-invalid="true"' in wrong and 'id="id_gitlab-url-wrong"' in wrong and "must be an http" in wrong


def test_lists_and_restores_revisions(admin, cost):
    assert "No settings saved yet" in admin.get("/settings/history/").content.decode()
    with servers.gitlab() as lab:
        admin.post("/settings/", gitlab(lab, do="save"))
        admin.post("/settings/", {"do": "save", "seen": seen(), "package_store-kind": "local"})
        assert registry.configured("gitlab") is None
        first = Setting.objects.order_by("pk").first()
        page = admin.get("/settings/history/").content.decode()
        assert "ada" in page and "GitLab" in page and f"/settings/history/{first.pk}/restore/" in page
        small = cost(admin, "/settings/history/")
        assert admin.post(f"/settings/history/{first.pk}/restore/")["Location"] == "/settings/"
        assert registry.require("gitlab")["token"].reveal() == "glpat-1234"
        admin.post("/settings/", {"do": "save", "seen": seen(), "package_store-kind": "local"})
    gone = admin.post(f"/settings/history/{first.pk}/restore/")
    assert gone.status_code == 422 and "Not saved" in gone.content.decode()
    assert registry.configured("gitlab") is None and Setting.objects.count() == 4
    assert cost(admin, "/settings/history/") == small


def test_rejects_concurrent_change(admin):
    with servers.gitlab() as lab:
        second = {"seen": seen(), "package_store-kind": "local", "do": "save"}
        admin.post("/settings/", gitlab(lab, do="save"))
        answer = admin.post("/settings/", second)
    assert answer.status_code == 409 and "Someone else changed the settings" in answer.content.decode()
    assert registry.configured("gitlab") is not None


def test_worker_page_shows_task(admin, operator):
    from django.utils import timezone
    from django_celery_results.models import TaskResult

    from microservice.models import Heartbeat, Operation
    from tests import factories

    Heartbeat.objects.create(worker="worker-1", seen=timezone.now(), slots=8)
    TaskResult.objects.create(task_id="abc", task_name="worker.tasks.work", status="FAILURE", traceback="<b>x")
    TaskResult.objects.create(task_id="other", task_name="worker.tasks.sweep", status="SUCCESS")
    operation = factories.running().operations.get()
    Operation.objects.filter(pk=operation.pk).update(celery_task_id="abc")
    assert "/workers/?task=abc" in admin.get(f"/operations/{operation.pk}/").content.decode()
    page = admin.get("/workers/?task=abc").content.decode()
    assert "worker-1" in page and "FAILURE" in page and "&lt;b&gt;x" in page and "sweep" not in page
    assert "sweep" in admin.get("/workers/").content.decode()
    assert operator.get("/workers/").status_code == 403
    assert "/workers/?task" not in operator.get(f"/operations/{operation.pk}/").content.decode()


def test_forms_and_api_have_all_fields():
    """The registry describes the fields once; forms add labels, the API adds types."""
    given = registry.ONLY_GIVEN
    fields = {name: set(defaults) | given.get(name, set()) for name, defaults in registry.PARTS.items()}
    assert {form.name: set(form.base_fields) - {"on"} for form in FORMS} == fields
    schemas = {name: get_args(field.annotation)[0] for name, field in SettingsDocument.model_fields.items()}
    assert {name: set(schema.model_fields) for name, schema in schemas.items()} == fields


def test_archive_in_the_form(docker_engine, admin):
    file = SimpleUploadedFile("certificates.tar", archive_of(docker_engine))
    posted = {"docker-on": "on", "docker-url": docker_engine.url, "docker-verify": "on", "do": "save", "seen": ""}
    answer = admin.post("/settings/", {**posted, "docker-archive": file})
    assert answer.status_code == 302, answer.content.decode()
    assert registry.require("docker")["client_key"].reveal() == docker_engine.client[1]
    page = admin.get("/settings/").content.decode()
    assert docker_engine.client[0].split("\n")[1] in page and docker_engine.client[1].split("\n")[1] not in page
    large = SimpleUploadedFile("certificates.tar", b"\0" * (MAX_ARCHIVE + 1))
    answer = admin.post("/settings/", {**posted, "docker-archive": large})
    assert answer.status_code == 422 and "too large" in answer.content.decode()
