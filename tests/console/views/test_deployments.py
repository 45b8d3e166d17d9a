"""Deployments: the list, and the page that is watched."""

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from microservice.models import Deployment, Operation, Step
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories

from ..markup import markup
from .failures import failed, with_steps

pytestmark = pytest.mark.django_db


def test_no_deployments_yet(admin):
    assert "No deployments yet" in markup(admin.get("/deployments/"))


def test_lists_and_filters_deployments(admin):
    deployment = factories.running(3, "shop")
    deployment.operations.filter(pk=deployment.operations.first().pk).update(status=OperationStatus.SUCCEEDED)
    page = markup(admin.get("/deployments/?service=shop&status=open&action=upgrade"))
    assert "1 of 3" in page and "1.0" in page and "2.0" in page
    assert "No matching deployments" in markup(admin.get("/deployments/?service=other"))
    assert admin.get("/deployments/?status=zzz&action=zzz&after=zzz").status_code == 200


def test_matrix_shows_hosts_and_steps(admin):
    deployment = factories.running(2, "shop")
    with_steps(deployment, "stop", "link", "start")
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    for word in ("shop-1", "shop-2", ">stop<", ">link<", ">start<", "done", "0 of 2"):
        assert word in page


def test_live_fragment_equals_page(admin):
    deployment = failed()
    whole = markup(admin.get(f"/deployments/{deployment.pk}/"))
    part = markup(admin.get(f"/deployments/{deployment.pk}/", headers={"HX-Request": "true"}))
    assert "<html" not in part and part.lstrip().startswith('<div class="head"')

    def matrix(page: str) -> str:
        return page[page.index('<table class="matrix"') : page.index("</table>")]

    assert matrix(part) == matrix(whole)


def causes(page: str) -> str:
    return page[page.index('aria-labelledby="causes-title"') : page.index('class="matrix"')]


def test_shows_first_error_with_output(admin):
    deployment = failed()
    factories.output(deployment.operations.first(), b"\x1b[31mconnection refused\x1b[0m\n<b>x</b>\n")
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    assert "the check did not pass" in causes(page) and "connection refused" in causes(page) and "<b>x</b>" not in page


def test_error_line_is_of_failed_step(admin):
    deployment = failed(1)
    Operation.objects.update(error="start failed with exit status 7: told to fail")
    operation = deployment.operations.get()
    factories.output(operation, b"x\n" * 3000 + b"told to fail\n", b"the old version answers again\n" * 8)
    top = causes(markup(admin.get(f"/deployments/{deployment.pk}/")))
    assert "Line 3001 of the output" in top and "told to fail</pre>" in top and "answers again" not in top


def test_opens_output_by_url(admin):
    deployment = failed()
    operation = deployment.operations.first()
    factories.output(operation, b"hello from the host\n")
    page = markup(admin.get(f"/deployments/{deployment.pk}/?open={operation.pk},x,,99999999999"))
    assert "hello from the host" in page and f'id="output-{operation.pk}"' in page


def buttons(page: str, deployment: Deployment) -> set[str]:
    """Return what the buttons at the top do."""
    top = page[page.index('id="controls"') : page.index('id="note"')]
    assert "disabled" not in top, "what cannot be done now has no button"
    revert = {"revert"} if f'href="/deployments/{deployment.pk}/revert/"' in top else set()
    return revert | set(re.findall(rf'action="/deployments/{deployment.pk}/(\w+)/"', top))


@pytest.mark.parametrize(
    ("status", "usable"),
    [
        (DeploymentStatus.QUEUED, {"pause", "cancel"}),
        (DeploymentStatus.RUNNING, {"pause", "cancel"}),
        (DeploymentStatus.PAUSED, {"resume", "cancel"}),
        (DeploymentStatus.CANCELLING, set()),
        (DeploymentStatus.FAILED, {"retry", "revert"}),
    ],
)
def test_what_can_be_done_now_has_a_button(admin, status, usable):
    deployment = failed()
    Deployment.objects.update(status=status)
    assert buttons(markup(admin.get(f"/deployments/{deployment.pk}/")), deployment) == usable


def test_nothing_failed_so_there_is_no_retry(admin):
    deployment = failed()
    deployment.operations.update(status=OperationStatus.SUCCEEDED, error="")
    Deployment.objects.update(status=DeploymentStatus.SUCCEEDED)
    assert buttons(markup(admin.get(f"/deployments/{deployment.pk}/")), deployment) == {"revert"}


def test_says_why_there_is_no_button(admin, viewer):
    deployment = failed()
    deployment.operations.update(instance=None)
    Deployment.objects.update(action="install")
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    assert "Retry: what failed was retried or changed since." in page
    assert "Revert…: an install has no previous version." in page and buttons(page, deployment) == set()
    Deployment.objects.update(status=DeploymentStatus.RUNNING)
    page = markup(viewer.get(f"/deployments/{deployment.pk}/"))
    assert "Pause, Cancel…: needs the right to deploy." in page and "<form" not in page[page.index('id="controls"') :]


def test_hosts_that_do_not_answer_are_contacted_at_once(admin):
    deployment = factories.running(2, "shop")
    lost = deployment.operations.first()
    Operation.objects.filter(pk=lost.pk).update(
        status=OperationStatus.UNKNOWN, due=timezone.now() + timedelta(minutes=5)
    )
    where = f"/deployments/{deployment.pk}/"
    page = markup(admin.get(where))
    assert "Contact 1 host now" in page and buttons(page, deployment) == {"retry", "pause", "cancel"}
    admin.post(f"{where}retry/", {"key": str(uuid.uuid4())})
    lost.refresh_from_db()
    assert lost.due <= timezone.now() and Deployment.objects.count() == 1


def test_shows_duration_of_each_step(admin):
    deployment, now = failed(1), timezone.now()
    for step, milliseconds in zip(Step.objects.order_by("position"), (0, 20_000, 1_500), strict=True):
        step.started, step.finished = now, now + timedelta(milliseconds=milliseconds)
        step.undo_started, step.undo_finished = now + timedelta(seconds=30), now + timedelta(seconds=33)
        step.save()
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    assert all(time in page for time in ("under 10 ms", "20.0 s", "1.5 s"))
    assert "33.0 s" not in page, "the undo is not part of the time that the step took"


def test_failed_step_stays_red_and_its_undo_stands_beside_it(admin):
    deployment = failed(1)
    for address in (f"/deployments/{deployment.pk}/", f"/operations/{deployment.operations.get().pk}/"):
        page = markup(admin.get(address))
        cells = [cell for cell in re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL) if 'class="undo"' in cell]
        assert len(cells) == 3, address
        assert [("tone-bad" in cell.partition('class="undo"')[0]) for cell in cells] == [False, False, True]
        assert all("undone" in cell.partition('class="undo"')[2] for cell in cells)
    assert "exit 7" in markup(admin.get(f"/deployments/{deployment.pk}/"))


def test_retries_failed_hosts(admin):
    deployment = failed(3)
    Operation.objects.filter(pk=deployment.operations.last().pk).update(status=OperationStatus.SUCCEEDED)
    key = {"key": str(uuid.uuid4())}
    first = admin.post(f"/deployments/{deployment.pk}/retry/", key)
    again = admin.post(f"/deployments/{deployment.pk}/retry/", key)
    made = Deployment.objects.exclude(pk=deployment.pk).get()
    assert first["Location"] == again["Location"] == f"/deployments/{made.pk}/"
    assert made.operations.count() == 2


def test_pauses_resumes_and_cancels(admin):
    deployment = factories.running(1, "shop")
    Deployment.objects.update(started=timezone.now())
    for what, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelling")):
        admin.post(f"/deployments/{deployment.pk}/{what}/", {"key": str(uuid.uuid4())})
        deployment.refresh_from_db()
        assert deployment.status == status


def test_refused_action_is_explained(admin):
    deployment = factories.running(1, "shop")
    answer = admin.post(f"/deployments/{deployment.pk}/retry/", {"key": str(uuid.uuid4())}, follow=True)
    assert 'role="alert"' in markup(answer)
    assert admin.post(f"/deployments/{deployment.pk}/explode/", {"key": str(uuid.uuid4())}).status_code == 404
    assert admin.get(f"/deployments/{deployment.pk}/cancel/").status_code == 405


def test_deployment_page_query_count(admin, cost):
    deployment = failed(50)  # more than a page, so they are counted
    small = cost(admin, f"/deployments/{deployment.pk}/")
    large = factories.running(160, "large")
    with_steps(large, *"abcdefgh")
    large.operations.update(status=OperationStatus.FAILED, error="x", error_step="a")
    Deployment.objects.filter(pk=large.pk).update(status=DeploymentStatus.FAILED)
    assert cost(admin, f"/deployments/{large.pk}/") == small
    listed = cost(admin, "/deployments/")
    for number in range(20):
        factories.running(1, f"more-{number}")
    assert cost(admin, "/deployments/") == listed


def hosts(page: str) -> list[str]:
    """Return the hosts of the matrix's rows, as they stand there."""
    return re.findall(r'<th scope="row"><span class="name"><a href="/operations/\d+/" title="[^"]*">([^<]+)</a>', page)


def test_pages_and_filters_matrix(admin):
    deployment = factories.running(130, "shop")
    where = f"/deployments/{deployment.pk}/"
    rows = list(deployment.operations.order_by("pk"))
    Operation.objects.filter(pk=rows[99].pk).update(status=OperationStatus.UNDONE)
    Operation.objects.filter(pk__in=[row.pk for row in rows[:50]]).update(status=OperationStatus.SUCCEEDED)
    page, script = markup(admin.get(where)), {"HX-Request": "true"}
    pages = [hosts(page)]
    while more := re.search(r'hx-get="(\?after=[\w-]+)"', page):
        page = markup(admin.get(where + more[1], headers=script))
        assert "<table" not in page and "Progress" not in page
        pages.append(hosts(page))
    shown = [host for page in pages for host in page]
    assert [len(page) for page in pages] == [40, 40, 40, 10]
    order = [99, *range(50, 99), *range(100, 130), *range(50)]
    assert shown == [f"shop-{number + 1}" for number in order], "what failed, what runs, what is well; each in order"
    anew = markup(admin.get(f"{where}?rows=80", headers=script))
    assert hosts(anew) == shown[:80] and "Progress" in anew
    assert "No hosts are failed now" in markup(admin.get(f"{where}?status=failed"))


@pytest.mark.parametrize("after", ["x", "1", "1-", "-1", "1-x", "99-1", "1-99999999999999999999", "a-b-c", "%00"])
def test_ignores_an_invalid_place_in_the_matrix(admin, after):
    deployment = factories.running(2, "shop")
    answer = admin.get(f"/deployments/{deployment.pk}/?after={after}")
    assert answer.status_code == 200


def test_time_left(admin):
    deployment = factories.running(2, "shop")
    where = f"/deployments/{deployment.pk}/"
    assert "not known yet" in markup(admin.get(where))
    now = timezone.now()
    past = factories.deployment(
        [one.instance for one in deployment.operations.select_related("instance__version", "instance__host")],
        deployment.dest_version,
        DeploymentStatus.SUCCEEDED,
        OperationStatus.SUCCEEDED,
    )
    past.operations.update(started=now - timedelta(seconds=600), finished=now)
    deployment.operations.update(started=now)
    assert "about 10 min" in markup(admin.get(where))
    deployment.operations.update(started=now - timedelta(seconds=900))
    assert "longer than usual" in markup(admin.get(where))


def test_timeline(admin):
    deployment = failed(2)
    begin = deployment.created - timedelta(seconds=100)
    Deployment.objects.update(created=begin)
    deployment.operations.update(started=begin + timedelta(seconds=20), finished=begin + timedelta(seconds=60))
    Step.objects.filter(name="check").update(started=begin + timedelta(seconds=50))
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    picture = page[page.index('id="timeline"') :]
    assert "waited 20.0 s, ran 30.0 s, undone in 10.0 s" in picture
    assert 'class="time-undo"' in picture and "style=" not in page
