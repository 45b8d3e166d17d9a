"""The page of a deployment that failed: each cause is one line with its hosts and its own buttons."""

import re
import uuid

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from deployer.engine.codes import Code, error, reason
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus, UndoStatus
from tests import factories
from worker import results

from ..markup import markup

pytestmark = pytest.mark.django_db


def said(words: str):
    return error(Code.STEP_FAILED, step="start", reason=reason("exit_status", status=1), said=words)


def end(deployment: Deployment, words: list[str]) -> Deployment:
    rows = list(deployment.operations.select_related("deployment", "host").order_by("pk"))
    MicroServiceInstance.objects.filter(operations__in=rows).update(
        locked=True, lock_deployment=deployment, status=InstanceStatus.UPGRADING
    )
    ends = [
        results.OperationResult(row, OperationStatus.UNDONE, UndoStatus.UNDONE, said(text), "start")
        if text
        else results.OperationResult(row, OperationStatus.SUCCEEDED)
        for row, text in zip(rows, words, strict=True)
    ]
    with transaction.atomic():
        results.record_results(ends)
    deployment.refresh_from_db()
    return deployment


@pytest.fixture
def failed() -> Deployment:
    """Forty hosts, seven of which failed for three reasons."""
    ports = [f"port {8000 + at} is in use" for at in range(4)]
    return end(factories.running(40), [""] * 33 + ports + ["no licence", "no licence", "disk /dev/sda1 is full"])


def causes(page: str) -> list[str]:
    return re.findall(r'<li class="cause">(.*?)</li>\s*(?=<li class="cause">|</ol>)', page, re.DOTALL)


def button(part: str, what: str) -> dict[str, str]:
    """Return the fields of the form in this part of the page that does it."""
    form = next(one for one in re.findall(r"<form.*?</form>", part, re.DOTALL) if f"/{what}/" in one)
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def test_seven_failures_of_three_kinds_are_three_lines(admin, failed):
    page = markup(admin.get(f"/deployments/{failed.pk}/"))
    shown = causes(page)
    assert len(shown) == 3 and "7 hosts failed" in page and "3 causes" in page
    for part, words, count in zip(shown, ("port 8000 is in use", "no licence", "is full"), (4, 2, 1), strict=True):
        assert words in part and (f"{count} host{'s' if count > 1 else ''}" in " ".join(part.split()))
        assert ">start<" in part and ">exit status 1<" in part, "the step and what it came to"
        copied = re.search(r'data-copies="([^"]*)"', part)[1]
        assert copied.startswith("start exit status 1 ") and words in copied
        names = re.findall(r'href="/operations/\d+/">([^<]+)</a>', part)
        assert len([name for name in names if name.strip() != "Open"]) == count
        assert {"Start maintenance", "Open"} <= {text.strip() for text in re.findall(r">([^<>]+)<", part)}
    assert page.index("no licence") < page.index('id="matrix-rows"'), "nothing has to be opened or scrolled to"


def test_counts_are_honest(admin, failed):
    page = " ".join(re.sub(r"<[^>]+>", " ", markup(admin.get(f"/deployments/{failed.pk}/"))).split())
    assert "failed, rolled back 7" in page and "succeeded 33" in page and "33 of 40 hosts succeeded" in page
    assert "33 of 40" in markup(admin.get("/deployments/"))


def test_what_failed_comes_first_in_the_table(admin, failed):
    page = markup(admin.get(f"/deployments/{failed.pk}/"))
    rows = re.findall(r'<tr id="op-(\d+)"( data-wrong)?', page)
    assert [bool(wrong) for _, wrong in rows] == [True] * 7 + [False] * (len(rows) - 7)


def test_one_cause_is_retried(admin, failed):
    where = f"/deployments/{failed.pk}/"
    part = causes(markup(admin.get(where)))[1]
    assert "Retry 2 hosts" in " ".join(part.split())
    fields = button(part, "retry")
    first, again = admin.post(f"{where}retry/", fields), admin.post(f"{where}retry/", fields)
    made = Deployment.objects.exclude(pk=failed.pk).get()
    assert first["Location"] == again["Location"] == f"/deployments/{made.pk}/"
    assert made.operations.count() == 2
    page = " ".join(markup(admin.get(where)).split())
    assert "Retry 5 hosts" in page and "Retry 2 hosts" not in page, "what is left"
    assert f'href="/deployments/{made.pk}/">{made.pk} · retry' in page, "what came after"


def test_a_key_is_for_one_cause(admin, failed):
    where, (one, other) = f"/deployments/{failed.pk}/", causes(markup(admin.get(f"/deployments/{failed.pk}/")))[:2]
    key = {"key": str(uuid.uuid4())}
    first = admin.post(f"{where}retry/", button(one, "retry") | key)
    second = admin.post(f"{where}retry/", button(other, "retry") | key)
    made = Deployment.objects.exclude(pk=failed.pk).get()
    assert (first["Location"], second["Location"]) == (f"/deployments/{made.pk}/", where), "refused, not answered again"


def test_retry_of_an_unknown_cause_starts_nothing(admin, failed):
    answer = admin.post(f"/deployments/{failed.pk}/retry/", {"key": str(uuid.uuid4()), "cause": "0" * 16}, follow=True)
    assert "not a cause" in markup(answer) and Deployment.objects.count() == 1


def test_one_cause_is_put_into_maintenance(admin, failed):
    where = f"/deployments/{failed.pk}/"
    part = causes(markup(admin.get(where)))[0]
    answer = admin.post(f"{where}maintenance/", button(part, "maintenance"), follow=True)
    assert "4 instances are now in maintenance" in markup(answer)
    assert MicroServiceInstance.objects.filter(is_maintain=True).count() == 4
    first, second, _ = causes(markup(admin.get(where)))
    assert "4 in maintenance" in first and "Start maintenance" not in first and "Start maintenance" in second


@pytest.mark.parametrize("fields", [{"shown": "3"}, {"shown": ""}, {"shown": "x"}, {"cause": "x"}, {"cause": ""}])
def test_maintenance_is_for_what_was_shown(admin, failed, fields):
    where = f"/deployments/{failed.pk}/"
    sent = button(causes(markup(admin.get(where)))[0], "maintenance") | fields
    admin.post(f"{where}maintenance/", sent)
    assert not MicroServiceInstance.objects.filter(is_maintain=True).exists()


def test_what_is_still_wrong_is_said(admin, failed):
    where = f"/deployments/{failed.pk}/"
    assert "7 are still in a failed state" in " ".join(markup(admin.get(where)).split())
    part = causes(markup(admin.get(where)))[0]
    admin.post(f"{where}retry/", button(part, "retry"))
    made = Deployment.objects.exclude(pk=failed.pk).get()
    page = " ".join(markup(admin.get(where)).split())
    assert "3 are still in a failed state" in page and "4 are being changed now" in page
    Deployment.objects.filter(pk=made.pk).update(status=DeploymentStatus.RUNNING)
    end(made, [""] * 4)
    page = " ".join(markup(admin.get(where)).split())
    assert "3 are still in a failed state" in page and "4 of 4" in page and "being changed" not in page


def test_where_nothing_ran_nothing_was_rolled_back(admin):
    deployment = factories.running(1)
    row = deployment.operations.select_related("deployment", "host").get()
    refused = error(Code.KEY_CHANGED, where="h", pinned="a", offered="b")
    with transaction.atomic():
        results.record_results([results.OperationResult(row, OperationStatus.UNDONE, UndoStatus.NONE, refused)])
    for address in (f"/deployments/{deployment.pk}/", f"/operations/{row.pk}/"):
        page = markup(admin.get(address))
        assert "failed, nothing ran" in page and "rolled back" not in page, address


def test_statements_do_not_grow_with_causes(admin):
    def statements(hosts: int, kinds: int) -> int:
        words = [f"licence {chr(97 + at % kinds) * 3} is missing" for at in range(hosts)]
        deployment = end(factories.running(hosts, f"shop{hosts}"), words)
        admin.get(f"/deployments/{deployment.pk}/")
        with CaptureQueriesContext(connection) as asked:
            admin.get(f"/deployments/{deployment.pk}/")
        return len(asked)

    assert statements(2, 2) == statements(39, 15)


def test_viewer_has_no_buttons(client, failed):
    from django.contrib.auth import get_user_model

    from access.models import Membership, Team
    from microservice.models import MicroService

    team = Team.objects.create(name="red")
    MicroService.objects.update(team=team)
    user = get_user_model().objects.create_user("vic")
    Membership.objects.create(team=team, user=user, role="viewer")
    client.force_login(user)
    shown = causes(markup(client.get(f"/deployments/{failed.pk}/")))
    assert len(shown) == 3 and not any("<form" in part for part in shown)
    answer = client.post(f"/deployments/{failed.pk}/maintenance/", {"cause": "x", "shown": "1"})
    assert answer.status_code == 403
