"""Labels in the console: lists filtered by them, and dialogs that choose by them."""

import pytest
from django.contrib.auth import get_user_model

from access.models import Membership, Team
from access.roles import Role
from asset.models import Asset, HostGroup
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories

from ..markup import markup
from .dialogs import hidden

pytestmark = pytest.mark.django_db


def names(page: str) -> list[str]:
    """Return the hosts of a list."""
    rows = page.partition("<tbody")[2].partition("</tbody")[0]
    return [host.hostname for host in Asset.objects.order_by("hostname") if f">{host.hostname}</a>" in rows]


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/hosts/", "/services/shop/instances/"])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"label": "zone=eu"}, [0, 1]),
        ({"label": "zone"}, [0, 1, 2]),
        ({"label": "zone=eu canary"}, [1]),
        ({"label": "canary='yes, first'"}, [1]),
        ({"group": "europe & co"}, [0, 1]),
        ({"group": "europe & co", "label": "canary"}, [1]),
        ({"group": "europe & co", "label": "zone=us"}, []),
        ({"label": "zone=mars"}, []),
        ({"q": "host1", "label": "zone=eu"}, [0]),
    ],
)
def test_lists_are_filtered(admin, labelled, page, filters, expected):
    assert names(markup(admin.get(page, filters))) == [labelled[at].hostname for at in expected]


@pytest.mark.parametrize("page", ["/hosts/", "/services/shop/instances/"])
@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"label": "zone='eu"}, "label"),
        ({"label": "=eu"}, "label"),
        ({"label": "zone=eu zone=us"}, "label"),
        ({"group": "gone"}, "group"),
    ],
)
def test_what_cannot_be_read_shows_nothing_and_says_so(admin, labelled, page, filters, field):
    shown = markup(admin.get(page, filters))
    assert f'id="{field}-wrong"' in shown and names(shown) == []


def test_each_label_leads_to_its_hosts(admin, labelled):
    for page in ("/hosts/", f"/hosts/{labelled[1].pk}/"):
        shown = markup(admin.get(page))
        assert 'href="/hosts/?label=zone%3Deu"' in shown
        assert 'href="/hosts/?label=%27canary%3Dyes%2C%20first%27"' in shown.replace("&#x27;", "'")


@pytest.mark.parametrize("page", ["/hosts/?label=zone", "/services/shop/instances/?label=zone", "/hosts/groups/"])
def test_cost_does_not_grow(admin, labelled, versions, cost, page):
    before = cost(admin, page)
    more = factories.hosts(30, prefix="more")
    Asset.objects.filter(pk__in=[host.pk for host in more]).update(labels={"zone": "eu"})
    factories.instances(versions.running, more)
    HostGroup.objects.bulk_create(HostGroup(name=f"group {n}", labels={"zone": str(n)}) for n in range(20))
    assert cost(admin, page) == before


def test_labels_are_suggested(admin, operator, labelled):
    def suggested(client, typed: str) -> list[str]:
        page = markup(client.get("/hosts/labels/", {"label": typed})).replace("&#x27;", "'")
        return [part.partition('"')[0] for part in page.split('value="')[1:]]

    assert suggested(admin, "") == ["zone=eu", "'canary=yes, first'", "zone=us"]
    assert suggested(admin, "zone") == ["zone=eu", "zone=us"]
    assert suggested(admin, "canary ZONE=U") == ["canary zone=us"]
    labelled[2].teams.add(Team.objects.create(name="others"))
    Membership.objects.create(
        team=Team.objects.create(name="ours"), user=get_user_model().objects.get(username="olga"), role=Role.DEPLOYER
    )
    assert "zone=us" not in suggested(operator, "")


# --- dialogs ----------------------------------------------------------------------------------------------------------


CHOICES = [{"where": "labels", "labels": "zone=eu"}, {"where": "group", "group": "europe & co"}]


def plan_of(page: str) -> str:
    return page[page.index('id="plan"') :]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy"])
def test_dialogs_take_the_hosts_of_a_label(admin, labelled, versions, choice, action):
    if action == "deploy":
        MicroServiceInstance.objects.update(version=versions.older)
    address = f"/services/shop/versions/{versions.running.pk}/{action}/"
    page = markup(admin.get(address, choice))
    plan = plan_of(page)
    assert "2 hosts" in plan and "host1" in plan and "host2" in plan and "host3" not in plan
    answer = admin.post(address, hidden(page))
    assert answer.status_code == 302, markup(answer)
    chosen = Deployment.objects.get().operations.values_list("host__hostname", flat=True)
    assert sorted(chosen) == ["host1", "host2"]


@pytest.mark.parametrize("choice", CHOICES)
def test_what_has_the_label_meanwhile_is_shown_first(admin, labelled, versions, choice):
    address = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    form = hidden(markup(admin.get(address, choice)))
    Asset.objects.filter(pk=labelled[2].pk).update(labels={"zone": "eu"})
    answer = admin.post(address, form)
    assert answer.status_code == 409 and "3 hosts" in plan_of(markup(answer)) and not Deployment.objects.exists()


def test_locked_hosts_of_a_label_are_skipped(admin, labelled, versions):
    MicroServiceInstance.objects.filter(host=labelled[0]).update(locked=True)
    plan = plan_of(markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/", CHOICES[0])))
    assert "Skipped" in plan and "Upgrade 1 host" in plan


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"where": "labels"}, "labels"),
        ({"where": "labels", "labels": "zone='eu"}, "labels"),
        ({"where": "labels", "labels": "zone=mars"}, "labels"),
        ({"where": "group"}, "group"),
        ({"where": "group", "group": "gone"}, "group"),
    ],
)
@pytest.mark.parametrize("action", ["upgrade", "deploy", "install"])
def test_refusals_stand_at_their_field(admin, labelled, versions, choice, field, action):
    version = versions.older if action == "deploy" else versions.running
    address = f"/services/shop/versions/{version.pk}/{action}/"
    for answer in (admin.get(address, choice), admin.post(address, choice | {"key": "0" * 36})):
        page = markup(answer)
        assert f'id="{field}-wrong"' in page and 'id="confirm"' not in page
    assert answer.status_code == 422 and not Deployment.objects.exists()


def test_what_is_typed_and_not_chosen_is_in_no_one_s_way(admin, labelled, versions):
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/?where=all&labels=='"))
    assert "Upgrade 4 hosts" in page


def test_revert_of_a_deployment(admin, labelled, versions):
    address = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    admin.post(address, hidden(markup(admin.get(address))))
    origin = Deployment.objects.get()
    origin.operations.update(status="succeeded")
    Deployment.objects.update(status="succeeded", finished=origin.created)
    MicroServiceInstance.objects.update(
        version=versions.newer, locked=False, lock_deployment=None, status=InstanceStatus.RUNNING
    )
    page = markup(admin.get(f"/deployments/{origin.pk}/revert/", CHOICES[0]))
    assert "Revert 2 hosts" in plan_of(page)
    nowhere = markup(admin.get(f"/deployments/{origin.pk}/revert/?where=labels&labels=zone%3Dmars"))
    assert 'id="labels-wrong"' in nowhere
    answer = admin.post(f"/deployments/{origin.pk}/revert/", hidden(page))
    assert answer.status_code == 302, markup(answer)
    made = Deployment.objects.exclude(pk=origin.pk).get()
    assert sorted(made.operations.values_list("host__hostname", flat=True)) == ["host1", "host2"]


@pytest.mark.parametrize("choice", CHOICES)
def test_installs_where_the_service_can_be_put(admin, labelled, versions, choice):
    """On the hosts with the label that do not have it and are open to it; the others are in no one's way."""
    free, closed = factories.hosts(2, prefix="new")
    Asset.objects.filter(pk__in=[free.pk, closed.pk]).update(labels={"zone": "eu"})
    closed.teams.add(Team.objects.create(name="others"))
    address = f"/services/shop/versions/{versions.newer.pk}/install/"
    page = markup(admin.get(address, choice))
    assert "on 1 host" in plan_of(page) and free.hostname in plan_of(page)
    assert admin.post(address, hidden(page)).status_code == 302
    assert Deployment.objects.get().operations.get().host == free


@pytest.mark.parametrize("action", ["upgrade", "deploy"])
def test_hosts_are_found_in_every_picker(admin, versions, action):
    more = factories.hosts(60, prefix="many")
    factories.instances(versions.older, more)
    MicroServiceInstance.objects.filter(host=more[0]).update(tag="blue")
    version = versions.running if action == "deploy" else versions.older
    address = f"/services/shop/versions/{version.pk}/{action}/"
    found = markup(admin.get(address, {"part": "hosts", "find_host": more[59].hostname}))
    assert found.count('name="host"') == 1 and more[59].hostname in found
    ticked = markup(admin.get(address, {"part": "hosts", "find_host": "blue", "host": str(more[59].pk)}))
    assert more[59].hostname in ticked and more[0].hostname in ticked and ticked.count('name="host"') == 2
    first = markup(admin.get(address, {"part": "hosts", "find_host": "many"}))
    assert first.count('name="host"') == 50 and "find_host=many" in first and "More hosts" in first
    assert "No matching hosts" in markup(admin.get(address, {"part": "hosts", "find_host": "nowhere"}))
