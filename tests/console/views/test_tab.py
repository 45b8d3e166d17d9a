"""What a browser's tab says of a deployment while another page is in front: its title and its icon."""

import re

import pytest

from console.queries.deployments import Counts
from console.views import tab
from microservice.models import Deployment, Operation
from microservice.status import DeploymentStatus, OperationStatus, Outcome
from tests import factories

from ..markup import markup


@pytest.mark.pure
@pytest.mark.parametrize(
    ("status", "by_status", "tone", "title"),
    [
        ("waiting", {}, "idle", "‖"),
        ("queued", {"queued": 4}, "run", "▸ 0/4"),
        ("running", {"succeeded": 1, "running": 3}, "run", "▸ 1/4"),
        ("running", {"succeeded": 1, "undone": 1, "running": 2}, "bad", "✗ 2/4"),
        ("running", {"unknown": 1, "running": 3}, "bad", "✗ 0/4"),
        ("paused", {"succeeded": 2, "pending": 2}, "idle", "‖ 2/4"),
        ("cancelling", {"running": 4}, "run", "▸ 0/4"),
        ("succeeded", {"succeeded": 4}, "ok", "✓"),
        ("failed", {"succeeded": 3, "failed": 1}, "bad", "✗"),
        ("cancelled", {"cancelled": 4}, "idle", "‖"),
        ("running", {"not_started": 1, "running": 3}, "run", "▸ 0/4"),  # not started is not done
    ],
)
def test_title_and_icon(status, by_status, tone, title):
    deployment, counts = Deployment(status=status), Counts(by_status, {})
    assert (tab.tone(deployment, counts), tab.title(deployment, counts)) == (tone, title)


@pytest.mark.pure
def test_every_outcome_and_status_has_a_mark():
    assert {tab.operation_tone(outcome) for outcome in Outcome} <= tab.MARKS.keys()
    assert {tab.tone(Deployment(status=status), Counts({}, {})) for status in DeploymentStatus} <= tab.MARKS.keys()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "icon"),
    [(OperationStatus.RUNNING, "run"), (OperationStatus.UNDONE, "bad"), (OperationStatus.FAILED, "bad")],
)
def test_page_and_what_it_fetches_again_say_the_same(admin, status, icon):
    deployment = factories.running(2, "shop")
    first = deployment.operations.order_by("pk")[0]
    Operation.objects.filter(pk=first.pk).update(status=status)
    for address in (f"/deployments/{deployment.pk}/", f"/operations/{first.pk}/"):
        page = markup(admin.get(address))
        fragment = markup(admin.get(address, headers={"HX-Request": "true"}))
        title = re.search(r"<title>(.*?)</title>", page)[1]
        assert f'data-title="{title}"' in fragment and title.startswith(tab.MARKS[icon])
        assert re.search(rf'rel="icon"[^>]*favicon-{icon}', page) and re.search(
            rf'data-icon="[^"]*favicon-{icon}', fragment
        )
