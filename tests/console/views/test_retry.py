"""A retry leaves out the hosts that are in maintenance by now, unless the person includes them, and may have a note."""

import uuid

import pytest

from microservice.models import Deployment, MicroServiceInstance
from tests import factories
from tests.console import as_a_browser

from ..markup import markup
from .matching import all_of
from .test_causes import button, causes, end

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed() -> Deployment:
    """Three hosts failed; one of them is in maintenance by now."""
    deployment = end(factories.running(4), ["no licence", "no licence", "no licence", ""])
    first = deployment.operations.order_by("pk").first()
    MicroServiceInstance.objects.filter(pk=first.instance_id).update(is_maintain=True)
    return deployment


def retried(deployment: Deployment) -> Deployment:
    return Deployment.objects.exclude(pk=deployment.pk).get()


def dialog(client, deployment: Deployment) -> as_a_browser.Form:
    page = client.get(f"/deployments/{deployment.pk}/").content.decode()
    return next(one for one in as_a_browser.forms(page) if one.action.endswith("/retry/") and one.has("note"))


def test_dialog_says_who_is_left_out(admin, failed):
    page = markup(admin.get(f"/deployments/{failed.pk}/"))
    assert "Retry 2 hosts…" in page and "What failed is repeated on 2 hosts, toward the same version." in page
    assert "1 more host that failed is in maintenance and is left out." in page and 'name="force"' in page
    MicroServiceInstance.objects.update(is_maintain=False)
    page = markup(admin.get(f"/deployments/{failed.pk}/"))
    assert "Retry 3 hosts…" in page and "left out" not in page and 'name="force"' not in page


@pytest.mark.parametrize(("sent", "count"), [({}, 2), ({"force": "on"}, 3)])
def test_maintenance_is_left_out_unless_included(admin, failed, sent, count):
    form = dialog(admin, failed)
    answer = admin.post(form.action, form.data() | {"note": "the licence is there"} | sent)
    again = retried(failed)
    assert answer["Location"] == f"/deployments/{again.pk}/" and again.note == "the licence is there"
    assert again.operations.count() == count
    assert [one["code"] for one in again.skipped] == ["in_maintenance"] * (3 - count)


def test_where_all_are_in_maintenance_the_dialog_says_so(admin, failed):
    MicroServiceInstance.objects.update(is_maintain=True)
    page = markup(admin.get(f"/deployments/{failed.pk}/"))
    assert "Every host that failed is in maintenance." in page
    form = dialog(admin, failed)
    admin.post(form.action, form.data())
    assert 'class="wrong refused"' in admin.get(f"/deployments/{failed.pk}/").content.decode()
    admin.post(form.action, form.data() | {"force": "on", "key": str(uuid.uuid4())})
    assert retried(failed).operations.count() == 3


def test_button_of_a_cause_leaves_maintenance_out(admin, failed):
    (part,) = causes(admin.get(f"/deployments/{failed.pk}/").content.decode())
    assert "Retry 2 hosts" in " ".join(part.split()) and "1 in maintenance" in " ".join(part.split())
    admin.post(f"/deployments/{failed.pk}/retry/", button(part, "retry"))
    assert retried(failed).operations.count() == 2


def test_long_note_stands_at_its_field(admin, failed):
    form = dialog(admin, failed)
    admin.post(form.action, form.data() | {"note": "x" * 5000, "force": "on"})
    page = admin.get(f"/deployments/{failed.pk}/").content.decode()
    assert 'id="retry-note-wrong"' in page and "x" * 5000 in page and not retried_any(failed)
    assert dialog(admin, failed).has("force")


def retried_any(deployment: Deployment) -> bool:
    return Deployment.objects.exclude(pk=deployment.pk).exists()


def test_ticked_instances_in_maintenance_are_refused_by_name_or_included(admin, failed):
    ids = [str(one) for one in failed.operations.filter(status="undone").values_list("instance", flat=True)]
    where = "/services/shop/instances/"
    sent = {"what": "retry", "instance": ids, "key": str(uuid.uuid4()), "again-note": "why"}
    admin.post(f"{where}change/", sent)
    page = admin.get(where).content.decode()
    assert "is in maintenance" in page and 'value="why"' in page and not retried_any(failed)
    admin.post(f"{where}change/", sent | {"again-force": "on", "key": str(uuid.uuid4())})
    assert retried(failed).operations.count() == 3 and retried(failed).note == "why"


def test_all_that_match_leave_maintenance_out(admin, failed):
    admin.post(
        "/services/shop/instances/change/",
        {"what": "retry", **all_of(MicroServiceInstance.objects.all()), "key": str(uuid.uuid4())},
    )
    assert retried(failed).operations.count() == 2
