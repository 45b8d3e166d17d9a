"""Environments in the console: their pages, and the hosts that are in them."""

import re

import pytest

from access.models import Team
from asset.models import Asset, Environment, HostGroup
from tests import factories

from ..markup import markup
from .matching import all_of
from .test_labels import names

pytestmark = pytest.mark.django_db
PAGE = "/environments/"


@pytest.fixture
def two(db):
    staging = Environment.objects.create(name="staging & co", position=1, colour="blue")
    return staging, Environment.objects.create(name="production", position=2, requires=staging, soak_minutes=30)


def test_an_environment_is_added_changed_and_deleted(admin):
    assert "No environments yet" in markup(admin.get(PAGE))
    sent = {"name": "staging", "colour": "blue", "description": "like production"}
    made = admin.post(f"{PAGE}new/", sent, follow=True)
    assert "staging was added. Now choose its hosts." in markup(made)
    row = Environment.objects.get()
    assert (row.name, row.colour, row.position, row.soak_minutes, row.requires) == ("staging", "blue", 1, 0, None)
    own = f"{PAGE}{row.pk}/"
    saved = markup(admin.post(own, {**sent, "name": "stage", "position": 4}, follow=True))
    assert "stage was saved." in saved
    row.refresh_from_db()
    assert (row.name, row.position, row.description) == ("stage", 4, "like production")
    assert "stage was deleted." in markup(admin.post(f"{own}delete/", follow=True))
    assert not Environment.objects.exists()


def test_the_list_says_what_each_requires_and_has(admin, two):
    factories.hosts(2)
    Asset.objects.update(environment=two[0])
    page = markup(admin.get(PAGE))
    assert page.index("staging &amp; co") < page.index("production")
    assert "2 hosts" in page and "0 hosts" in page and "for 30 minutes" in page
    assert f'href="{PAGE}{two[0].pk}/"' in page and "?environment=staging%20%26%20co" in page


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "production"}, "name"),
        ({"colour": "pink"}, "colour"),
        ({"position": "-1"}, "position"),
        ({"position": "9" * 30}, "position"),
        ({"soak_minutes": "-1"}, "soak_minutes"),
        ({"requires_id": "9999"}, "requires_id"),
        ({"requires_id": "x"}, "requires_id"),
        ({"requires_id": "production"}, "requires_id"),
        ({"approvals": "6"}, "approvals"),
        ({"approvers": "nobody"}, "approvers"),
        ({"wait_hours": "0"}, "wait_hours"),
        ({"strategy-batch_size": "0"}, "strategy-batch_size"),
        ({"strategy-canary": "x"}, "strategy-canary"),
    ],
)
def test_a_wrong_value_is_said_at_its_field(admin, two, sent, field):
    staging, production = two
    if sent.get("requires_id") == "production":
        sent = {"requires_id": str(production.pk)}  # which requires this one
    before = {"name": "staging & co", "colour": "blue", "position": 1, "description": "typed and kept"}
    answer = admin.post(f"{PAGE}{staging.pk}/", {**before, **sent})
    page = markup(answer)
    own = field if field.startswith("strategy-") else f"id_{field}"
    assert answer.status_code == 422 and f'id="{own}-wrong"' in page, page
    assert "typed and kept" in page
    staging.refresh_from_db()
    assert (staging.name, staging.description, staging.requires) == ("staging & co", "", None)


def test_who_approves_is_set_shown_and_kept(admin, two):
    Team.objects.create(name="release")
    where = f"{PAGE}{two[1].pk}/"
    rules = {"approvals": "2", "approvers": "release", "wait_hours": "8", "approve_reverts": "on", "tokens_wait": "on"}
    sent = {"name": "production", "colour": "red", "strategy-canary": "1", "strategy-batch_size": "20%"}
    assert "production was saved." in markup(admin.post(where, {**sent, **rules}, follow=True))
    row = Environment.objects.get(pk=two[1].pk)
    assert (row.approvals, row.approvers.name, row.wait_hours) == (2, "release", 8)
    assert (row.approve_reverts, row.tokens_deploy) == (True, False)
    assert (row.default_strategy["canary"], row.default_strategy["batch_size"]) == (1, "20%")
    page = markup(admin.get(PAGE))
    assert "by 2 people of release" in page and "of reverts too" in page
    form = markup(admin.get(where))
    assert re.search(r'<input[^>]*name="approvers"[^>]*value="release"', form), form
    assert re.search(r'<input[^>]*name="tokens_wait"[^>]*checked', form)
    admin.post(where, {"name": "production", "colour": "red", "tokens_wait": "on"})
    row.refresh_from_db()
    assert (row.approvals, row.approvers, row.wait_hours, row.approve_reverts) == (0, None, 24, False)
    assert (row.tokens_deploy, row.default_strategy) == (False, {})
    assert "of what API tokens ask for" in markup(admin.get(PAGE))


CHANGE = "/hosts/environment/change/"


def test_ticked_hosts_and_all_that_match_come_into_one(admin, two):
    hosts = factories.hosts(60)  # more than a page
    staging = two[0]
    assert "Change environment…" in markup(admin.get("/hosts/"))
    sent = {"into": staging.name, "host": [hosts[0].pk, hosts[1].pk]}
    assert "2 hosts came into staging &amp; co." in markup(admin.post(CHANGE, sent, follow=True))
    assert list(staging.hosts.order_by("pk")) == hosts[:2]
    sent = {"into": "production", "environment": "0", **all_of(Asset.objects.filter(environment=None))}
    answer = admin.post(CHANGE, sent)
    assert answer["Location"] == "/hosts/?environment=0" and two[1].hosts.count() == 58
    sent = {"into": "0", "host": [hosts[0].pk]}
    assert "1 host left its environment." in markup(admin.post(CHANGE, sent, follow=True))
    assert Asset.objects.get(environment=None) == hosts[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"into": "nowhere", "host": "HOST"}, "nowhere is not one of the available choices"),
        ({"host": "HOST"}, "This field is required"),
        ({"into": "production"}, "select at least one host"),
        ({"into": "production", "host": ["999999"]}, "There is no such host"),
        ({"into": "production", "all": "58", "matching": "x"}, "The list has changed"),
    ],
)
def test_what_no_one_chose_comes_into_none(admin, two, more, said):
    host = factories.hosts(1)[0]
    answer = admin.post(CHANGE, {**more, **({"host": [host.pk]} if more.get("host") == "HOST" else {})}, follow=True)
    assert said in markup(answer), markup(answer)
    assert not Asset.objects.exclude(environment=None).exists()


def test_one_with_hosts_stays(admin, two):
    staging, production = two
    page = markup(admin.get(f"{PAGE}{staging.pk}/"))
    assert "Required by: production." in page and 'data-opens="sure-delete"' not in page
    assert "staging &amp; co is required by production." in markup(
        admin.post(f"{PAGE}{staging.pk}/delete/", follow=True)
    )
    assert 'data-opens="sure-delete"' in markup(admin.get(f"{PAGE}{production.pk}/"))


def test_hosts_come_into_one_by_labels_or_a_group(admin, two):
    staging, _ = two
    rows = factories.hosts(3)
    Asset.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(labels={"zone": "eu"})
    group = HostGroup.objects.create(name="rest", labels={"zone": None})
    where = f"{PAGE}{staging.pk}/hosts/"
    assert "2 hosts came into staging &amp; co" in markup(admin.post(where, {"labels": "zone=eu"}, follow=True))
    assert "0 hosts came into staging &amp; co; 2" in markup(admin.post(where, {"group": group.name}, follow=True))
    assert Asset.objects.filter(environment=staging).count() == 2
    for sent in ({}, {"labels": "zone=eu", "group": "rest"}, {"labels": "="}, {"group": "nowhere"}):
        answer = admin.post(where, sent)
        assert answer.status_code == 422 and "-wrong" in markup(answer), sent


def test_a_busy_host_is_named_where_it_was_chosen(admin, two, shop_host):
    staging, _ = two
    answer = admin.post(f"{PAGE}{staging.pk}/hosts/", {"labels": "zone=eu"})
    assert answer.status_code == 422 and f"Something is being deployed to {shop_host.hostname}" in markup(answer)
    assert not Asset.objects.filter(environment=staging).exists()


@pytest.fixture
def shop_host(db):
    version = factories.versions(factories.service("busy"), 1)[0]
    instance = factories.instances(version, factories.hosts(), locked=True)[0]
    Asset.objects.update(labels={"zone": "eu"})
    return instance.host


def test_a_host_is_put_into_one_on_its_own_page(admin, two):
    staging, _production = two
    host = factories.hosts()[0]
    sent = {"hostname": host.hostname, "ip": host.ip, "port": 22, "username": "root", "base_path": "/srv"}
    edit = f"/hosts/{host.pk}/edit/"
    admin.post(edit, {**sent, "environment_id": staging.pk})
    host.refresh_from_db()
    assert host.environment == staging and host.environment_since
    assert "staging &amp; co" in markup(admin.get(f"/hosts/{host.pk}/")) and f'value="{staging.pk}" selected' in markup(
        admin.get(edit)
    )
    admin.post(edit, {**sent, "environment_id": ""})
    host.refresh_from_db()
    assert host.environment is None
    history = markup(admin.get("/history/"))
    assert "Environment set to staging &amp; co" in history and "Environment removed, was staging &amp; co" in history


@pytest.mark.parametrize("page", ["/hosts/", "/services/shop/instances/"])
def test_lists_are_filtered(admin, versions, two, page):
    hosts = list(Asset.objects.order_by("pk"))
    Asset.objects.filter(pk__in=[host.pk for host in hosts[:2]]).update(environment=two[0])
    assert names(markup(admin.get(page, {"environment": "staging & co"}))) == [host.hostname for host in hosts[:2]]
    assert names(markup(admin.get(page, {"environment": "production"}))) == []


def test_nothing_is_asked_where_there_are_none(admin, versions):
    """Without environments, no page has one field or filter more."""
    host = Asset.objects.first()
    for page in (
        "/hosts/",
        "/hosts/new/",
        f"/hosts/{host.pk}/edit/",
        f"/hosts/{host.pk}/",
        "/services/shop/instances/",
    ):
        assert "environment" not in markup(admin.get(page)).lower().replace("environment variable", ""), page
