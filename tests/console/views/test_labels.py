"""Labels and host groups in the console: lists filtered by them, dialogs that choose by them, pages of groups."""

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
from .matching import all_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def labelled(versions):
    """Give the four hosts labels: two are in the EU, one of them a canary; one is in the US; one has none."""
    eu, canary, us, _ = hosts = list(Asset.objects.order_by("pk"))
    eu.labels, canary.labels, us.labels = {"zone": "eu"}, {"zone": "eu", "canary": "yes, first"}, {"zone": "us"}
    Asset.objects.bulk_update(hosts, ["labels"])
    HostGroup.objects.create(name="europe & co", labels={"zone": "eu"})
    return hosts


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


# --- host groups ------------------------------------------------------------------------------------------------------


def test_groups_are_made_changed_and_deleted(admin, labelled):
    assert "2 hosts" in markup(admin.get("/hosts/groups/"))
    assert 'value="zone=us"' in markup(admin.get("/hosts/groups/new/?labels=zone%3Dus"))
    form = {"name": "america", "labels": "zone=us", "description": "over there"}
    assert admin.post("/hosts/groups/new/", form)["Location"] == "/hosts/groups/"
    group = HostGroup.objects.get(name="america")
    assert (group.labels, group.created_by) == ({"zone": "us"}, "ada")
    page = markup(admin.get("/hosts/groups/"))
    assert ">1 host<" in page and "over there" in page and "group=america" in page
    address = f"/hosts/groups/{group.pk}/"
    assert 'value="zone=us"' in markup(admin.get(address))
    assert admin.post(address, form | {"labels": "zone=us canary"}).status_code == 302
    group.refresh_from_db()
    assert group.labels == {"zone": "us", "canary": None}
    assert admin.post(f"{address}delete/").status_code == 302 and not HostGroup.objects.filter(name="america").exists()
    assert admin.post(f"{address}delete/").status_code == admin.get(address).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "europe & co"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"labels": ""}, "labels"),
        ({"labels": "zone='"}, "labels"),
        ({"labels": "zone=eu zone=us"}, "labels"),
        ({"description": "x" * 257}, "description"),
    ],
)
def test_refusals_of_a_group_stand_at_their_field(admin, labelled, wrong, field):
    answer = admin.post("/hosts/groups/new/", {"name": "new", "labels": "zone=eu", "description": "d"} | wrong)
    page = markup(answer)
    assert answer.status_code in (409, 422) and f'id="id_{field}-wrong"' in page and HostGroup.objects.count() == 1
    assert 'value="d"' in page or field == "description"


def test_host_names_its_groups(admin, labelled):
    HostGroup.objects.create(name="canaries", labels={"canary": None})
    shown = [markup(admin.get(f"/hosts/{host.pk}/")) for host in labelled]
    assert [page.count('href="/hosts/?group=') for page in shown] == [1, 2, 0, 0]
    assert 'href="/hosts/?group=europe%20%26%20co"' in shown[0]


def test_filter_becomes_a_group(admin, operator, labelled):
    made = 'href="/hosts/groups/new/?labels=zone%3Deu%20canary"'
    assert made in markup(admin.get("/hosts/?label=zone%3Deu+canary"))
    assert made not in markup(operator.get("/hosts/?label=zone%3Deu+canary"))
    for nothing in ("", "label=zone%3D%27", "group=europe+%26+co&label=zone"):
        assert "Make a group" not in markup(admin.get(f"/hosts/?{nothing}"))


def test_groups_are_for_everyone_to_see_and_for_administrators_to_change(operator, labelled):
    group = HostGroup.objects.get()
    page = markup(operator.get("/hosts/groups/"))
    assert "europe &amp; co" in page and "Add a group" not in page
    for address in ("/hosts/groups/new/", f"/hosts/groups/{group.pk}/"):
        assert operator.get(address).status_code == operator.post(address).status_code == 403
    assert operator.post(f"/hosts/groups/{group.pk}/delete/").status_code == 403


# --- all that match ---------------------------------------------------------------------------------------------------


@pytest.fixture
def many(labelled, versions):
    """Put the service on 70 more hosts in the EU, more than a page: 30 of them failed, one of these is locked."""
    more = factories.hosts(70, prefix="many")
    Asset.objects.filter(pk__in=[host.pk for host in more]).update(labels={"zone": "eu"})
    rows = factories.instances(versions.running, more)
    failed = [row.pk for row in rows[:30]]
    MicroServiceInstance.objects.filter(pk__in=failed).update(status=InstanceStatus.UPGRADE_FAILED)
    MicroServiceInstance.objects.filter(pk=failed[0]).update(locked=True)
    return rows


CHANGE = "/services/shop/instances/change/"


def in_eu() -> dict[str, str]:
    return all_of(MicroServiceInstance.objects.filter(host__labels__zone="eu"))


def test_all_that_match_are_offered_where_there_are_more_than_the_page(admin, many):
    page = markup(admin.get("/services/shop/instances/?label=zone%3Deu"))
    assert "All 72 instances that match" in page and 'name="all" value="72"' in page
    assert f'name="matching" value="{in_eu()["matching"]}"' in page
    assert '<input type="hidden" name="label" value="zone=eu" form="chosen">' in page
    assert "All 74 instances of the service" in markup(admin.get("/services/shop/instances/"))
    assert 'name="all"' not in markup(admin.get("/services/shop/instances/?state=failed"))


def test_all_that_match_are_changed_and_no_others(admin, many, labelled):
    form = {"what": "maintain", "label": "zone=eu", **in_eu()}
    answer = admin.post(CHANGE, form)
    assert answer["Location"] == "/services/shop/instances/?label=zone%3Deu"
    left = MicroServiceInstance.objects.filter(is_maintain=False).values_list("host__hostname", flat=True)
    assert sorted(left) == ["host3", "host4"]


@pytest.mark.parametrize("seen", ["fewer", "others", "none", "nonsense", ""])
def test_what_no_one_has_seen_is_not_changed(admin, many, labelled, seen):
    """Others than were shown, also as many others, as where one was added and another one went."""
    fields = in_eu()
    if seen == "fewer":
        fields = all_of(MicroServiceInstance.objects.filter(pk__in=[row.pk for row in many]))
    elif seen == "others":
        fields = all_of(MicroServiceInstance.objects.exclude(pk__in=[many[0].pk, many[1].pk]))
        assert fields["all"] == "72"
    elif seen == "none":
        del fields["matching"]
    else:
        fields["matching"] = seen
    answer = admin.post(CHANGE, {"what": "maintain", "label": "zone=eu", **fields}, follow=True)
    assert "72 instances match the filter now" in markup(answer)
    assert not MicroServiceInstance.objects.filter(is_maintain=True).exists()


@pytest.mark.parametrize("wrong", [{"label": "zone='"}, {"group": "gone"}])
def test_filter_that_cannot_be_read_means_none(admin, many, wrong):
    admin.post(CHANGE, {"what": "maintain", **all_of(MicroServiceInstance.objects.all()), **wrong})
    admin.post(CHANGE, {"what": "maintain", **all_of(MicroServiceInstance.objects.none()), **wrong})
    assert not MicroServiceInstance.objects.filter(is_maintain=True).exists()


def test_retry_of_all_takes_what_can_be_retried(admin, many, versions):
    older = factories.deployment(many[:30], versions.newer, status="failed", operations="undone")
    for operation in older.operations.all():
        MicroServiceInstance.objects.filter(pk=operation.instance_id).update(last_operation=operation)
    answer = admin.post(CHANGE, {"what": "retry", "label": "zone=eu", **in_eu(), "key": "0" * 36})
    made = Deployment.objects.exclude(pk=older.pk).get()
    assert answer["Location"] == f"/deployments/{made.pk}/"
    retried = set(made.operations.values_list("instance", flat=True))
    assert retried == {row.pk for row in many[1:30]}
