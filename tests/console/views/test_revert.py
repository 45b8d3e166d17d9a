"""The page that takes back a deployment: its hosts, its plan, its strategy, and its confirmation."""

import re

import pytest

from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion
from microservice.status import Action, DeploymentStatus, OperationStatus
from tests import factories

from ..markup import markup
from .dialogs import hidden


@pytest.fixture
def upgraded(versions) -> Deployment:
    """An upgrade of four hosts, which now run the newest version; the last one failed and was undone."""
    rows = list(MicroServiceInstance.objects.order_by("pk"))
    deployment = factories.deployment(rows, versions.newer, DeploymentStatus.FAILED, OperationStatus.SUCCEEDED)
    deployment.operations.filter(instance=rows[3]).update(status=OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in rows[:3]]).update(
        version=versions.newer, locked=False, lock_deployment=None
    )
    return deployment


@pytest.fixture
def where(upgraded) -> str:
    return f"/deployments/{upgraded.pk}/revert/"


def test_page_of_the_deployment_leads_there(admin, upgraded, where):
    page = markup(admin.get(f"/deployments/{upgraded.pk}/"))
    link = re.search(rf'<a[^>]*href="{where}"[^>]*>([^<]*)</a>', page)
    assert link and link[1].strip() == "Revert…" and 'data-key="x"' in link[0]


def test_plan_names_what_goes_back(admin, where):
    page = markup(admin.get(where))
    assert "Revert 3 hosts" in page and "1 version back" in page and "all steps can be undone" in page
    plan = page[page.index('id="plan"') :]
    assert all(f"host{number}:" in plan for number in (1, 2, 3)) and "host4:" not in plan
    assert page.count('type="checkbox" name="host"') == 3, "what it did not change is no choice"
    assert "3 hosts, all at once" in page and 'name="max_failures" value="4"' in page, "no failure ends it"


def test_confirmation_starts_one_revert(admin, where, upgraded, versions):
    form = hidden(markup(admin.get(where)))
    first, second = admin.post(where, form), admin.post(where, form)
    back = Deployment.objects.exclude(pk=upgraded.pk).get()
    assert first["Location"] == second["Location"] == f"/deployments/{back.pk}/"
    assert (back.action, back.origin, back.requested_by) == (Action.REVERT, upgraded, "ada")
    assert set(back.operations.values_list("dest_version", flat=True)) == {versions.running.pk}


def test_in_batches_with_a_note(admin, where, upgraded):
    page = markup(admin.get(f"{where}?canary=1&batch_size=1&on_failure=revert_all&pause_between=on&note=orders+lost"))
    assert "3 hosts in 3 batches (1, 1, 1)" in page
    admin.post(where, hidden(page))
    back = Deployment.objects.exclude(pk=upgraded.pk).get()
    assert (back.strategy["canary"], back.strategy["pause_between"], back.note) == (1, True, "orders lost")
    assert sorted(back.operations.values_list("batch", flat=True)) == [0, 1, 2]


def test_only_ticked_hosts(admin, where, upgraded):
    one = MicroServiceInstance.objects.get(host__hostname="host2")
    page = markup(admin.get(f"{where}?where=some&host={one.host_id}"))
    assert "Revert 1 host" in page
    admin.post(where, hidden(page))
    assert Deployment.objects.exclude(pk=upgraded.pk).get().operations.get().instance == one
    assert "Select at least one host" in markup(admin.get(f"{where}?where=some"))


@pytest.mark.parametrize("host", ["host4", "elsewhere"])
def test_host_that_it_did_not_change_stands_at_the_field(admin, where, upgraded, host):
    rows = {row.hostname: row.pk for row in factories.hosts(1, prefix="secret")}
    number = (
        next(iter(rows.values()))
        if host == "elsewhere"
        else MicroServiceInstance.objects.get(host__hostname=host).host_id
    )
    for answer in (
        admin.get(f"{where}?where=some&host={number}"),
        admin.post(where, {"where": "some", "host": number, "key": "0" * 36}),
    ):
        page = markup(answer)
        errors = page[page.index('id="host-errors"') :]
        assert f"did not change host {number if host == 'elsewhere' else host}" in errors[: errors.index("</div>")]
        assert 'id="confirm"' not in page and "secret" not in page
    assert answer.status_code == 422 and Deployment.objects.count() == 1


def test_changed_plan_is_shown_again(admin, where, versions):
    form = hidden(markup(admin.get(where)))
    MicroServiceInstance.objects.filter(host__hostname="host1").update(version=versions.older)
    answer = admin.post(where, form)
    assert answer.status_code == 409 and Deployment.objects.count() == 1
    assert "Revert 2 hosts" in markup(answer), "the new plan is there to be confirmed"


def test_nothing_left(admin, where, versions):
    MicroServiceInstance.objects.update(version=versions.older)
    page = markup(admin.get(where))
    assert "There is nothing to do" in page and 'id="confirm"' not in page


def test_bad_version_needs_confirmation(admin, where, upgraded, versions):
    MicroServiceVersion.objects.filter(pk=versions.running.pk).update(bad=True, bad_reason="loses orders")
    page = markup(admin.get(where))
    assert "loses orders" in page and 'name="allow_bad"' in page and 'id="confirm"' not in page
    sent = hidden(markup(admin.get(f"{where}?allow_bad=on")))
    assert admin.post(where, {**sent, "allow_bad": "", "key": "0" * 36}).status_code == 422
    assert admin.post(where, sent).status_code == 302


def test_marks_the_version_that_is_left(admin, where, versions):
    page = markup(admin.get(where))
    assert "Mark 3.0 as bad" in page
    page = markup(admin.get(f"{where}?mark_bad=on&reason=leaks"))
    assert "marks 3.0 as bad" in page
    admin.post(where, hidden(page))
    versions.newer.refresh_from_db()
    assert (versions.newer.bad, versions.newer.bad_reason) == (True, "leaks")


def test_what_cannot_be_reverted_says_why(admin, where, upgraded):
    for change, words in (
        ({"status": DeploymentStatus.RUNNING}, "is running"),
        ({"status": DeploymentStatus.SUCCEEDED, "action": Action.INSTALL}, "no version to revert to"),
    ):
        Deployment.objects.update(**change)
        page = markup(admin.get(where))
        assert words in page and 'id="confirm"' not in page
        assert admin.post(where, {"where": "all", "key": "0" * 36}).status_code in (409, 422)
    assert Deployment.objects.count() == 1


@pytest.mark.parametrize(
    "query", ["where=x", "host=x&where=some", "canary=-1", "batch_size=0", "on_failure=x", "note=" + "x" * 501]
)
def test_wrong_values_cannot_be_confirmed(admin, where, query):
    page = markup(admin.get(f"{where}?{query}"))
    assert 'role="alert"' in page and 'id="confirm"' not in page


def test_without_the_right(viewer, where):
    assert 'id="confirm"' not in markup(viewer.get(where))
    assert viewer.post(where, {"where": "all"}).status_code == 403 and Deployment.objects.count() == 1


def test_unknown_deployment(admin, db):
    assert admin.get("/deployments/999999/revert/").status_code == 404


def test_pages_hosts_and_costs_the_same(admin, versions, cost):
    def made(count: int) -> str:
        service = factories.service(f"many{count}", start_command="./run", stop_command="./stop")
        first, second = factories.versions(service, 2)
        rows = factories.instances(first, factories.hosts(count, prefix=f"n{count}x"))
        deployment = factories.deployment(rows, second, DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
        service.instances.update(version=second, locked=False, lock_deployment=None)
        return f"/deployments/{deployment.pk}/revert/"

    small, large = made(2), made(70)
    assert cost(admin, small) == cost(admin, large)
    page = markup(admin.get(large))
    assert "Revert 70 hosts" in page and page.count('type="checkbox" name="host"') == 50
    following = re.search(r"part=hosts&amp;after=([\w%-]+)", page)[1]
    assert markup(admin.get(f"{large}?part=hosts&after={following}")).count('name="host"') == 20
