"""Notes on deployments: why they were requested, typed in the dialogs and changed on their page."""

import re
import uuid

import pytest

from audit.models import History
from microservice.models import Deployment, MicroServiceInstance
from tests import factories

from ..markup import markup
from .dialogs import hidden

pytestmark = pytest.mark.django_db
WHY = 'orders <b>lost</b> since "monday"'
SHOWN = "orders &lt;b&gt;lost&lt;/b&gt; since &quot;monday&quot;"


def shown_on(page: str) -> str:
    """Return the part of a deployment's page that holds its note."""
    part = page[page.index('id="note"') :]
    return part[: part.index("<dialog")] if "<dialog" in part else part


@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy", "install"])
def test_each_dialog_takes_a_note(admin, versions, action):
    version = versions.older if action == "deploy" else versions.running
    where = f"/services/shop/versions/{version.pk}/{action}/"
    query = {"note": WHY} | ({"host": str(factories.hosts(1)[0].pk)} if action == "install" else {})
    page = markup(admin.get(where, query))
    assert f'value="{SHOWN}"' in page
    answer = admin.post(where, hidden(page))
    assert answer.status_code == 302, markup(answer)
    deployment = Deployment.objects.get()
    assert deployment.note == WHY
    assert SHOWN in shown_on(markup(admin.get(answer["Location"]))) and SHOWN in markup(admin.get("/deployments/"))
    assert History.objects.get(subject="deployment").reason == WHY and SHOWN in markup(admin.get("/history/"))


@pytest.mark.parametrize("action", ["upgrade", "deploy", "install"])
def test_note_that_is_too_long_stands_at_its_field(admin, versions, action):
    version = versions.older if action == "deploy" else versions.running
    where = f"/services/shop/versions/{version.pk}/{action}/"
    data = {"note": "x" * 501, "key": "0" * 36, "where": "all"}
    if action == "install":
        data |= {"host": str(factories.hosts(1)[0].pk), "where": "some", "port": "0", "weight": "1"}
    answer = admin.post(where, data)
    page = markup(answer)
    assert answer.status_code == 422 and "x" * 501 in page and not Deployment.objects.exists()
    assert re.search(r'id="note-wrong">[^<]*500', page)


def test_delete_takes_a_note(admin, versions):
    assert 'form="chosen"' in markup(admin.get("/services/shop/instances/"))
    one = MicroServiceInstance.objects.first()
    form = {"instance": [one.pk], "what": "delete", "key": str(uuid.uuid4()), "note": WHY}
    assert admin.post("/services/shop/instances/change/", form).status_code == 302
    assert Deployment.objects.get().note == WHY


@pytest.fixture
def where(versions) -> str:
    deployment = factories.deployment(list(MicroServiceInstance.objects.all()), versions.newer)
    return f"/deployments/{deployment.pk}/"


def test_note_is_added_changed_and_taken_away(admin, where):
    assert "Add note…" in markup(admin.get(where))
    for note in (WHY, "another", ""):
        assert admin.post(f"{where}note/", {"note": f" {note} "})["Location"] == where
        assert Deployment.objects.get().note == note
    rows = History.objects.filter(subject="deployment", action="change").order_by("pk")
    changes = [(row.before["note"], row.after["note"]) for row in rows]
    assert changes == [("", WHY), (WHY, "another"), ("another", "")] and rows[0].actor == "ada"
    assert "another" in markup(admin.get("/history/"))


def test_unchanged_note_is_no_change(admin, where):
    Deployment.objects.update(note=WHY)
    page = markup(admin.get(where))
    assert f'value="{SHOWN}"' in page and "Edit note…" in page
    admin.post(f"{where}note/", {"note": WHY})
    assert Deployment.objects.get().note == WHY and not History.objects.exists()


@pytest.mark.parametrize("note", ["x" * 501, "bell\x07"])
def test_refused_note_stands_at_its_field(admin, where, note):
    """With what was typed, on the page that it came from."""
    page = markup(admin.post(f"{where}note/", {"note": note}, follow=True))
    assert Deployment.objects.get().note == ""
    assert 'id="edit-note-wrong"' in page and 'aria-invalid="true"' in page and f'value="{note}"' in page
    assert 'id="edit-note-wrong"' not in markup(admin.get(where))


def test_refused_note_of_a_delete_stands_at_its_field(admin, versions):
    one = MicroServiceInstance.objects.first()
    form = {"instance": [one.pk], "what": "delete", "key": str(uuid.uuid4()), "note": "x" * 501}
    page = markup(admin.post("/services/shop/instances/change/", form, follow=True))
    assert 'id="stop-note-wrong"' in page and "x" * 501 in page and not Deployment.objects.exists()
    assert re.search(rf'value="{one.pk}"[^>]*checked', page), "what was selected still is"


def test_who_may_not_deploy_sees_it_only(viewer, where):
    Deployment.objects.update(note="why")
    page = markup(viewer.get(where))
    assert "why" in page and "Edit note…" not in page
    assert viewer.post(f"{where}note/", {"note": "mine"}).status_code == 403
    assert Deployment.objects.get().note == "why"


def test_unknown_deployment(admin, versions):
    assert admin.post("/deployments/999999/note/", {"note": "x"}).status_code == 404
