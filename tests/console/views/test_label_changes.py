"""Labels of many hosts in the console: the list with its ticks, and the change."""

import pytest
from django.db.models import QuerySet

from asset.models import Asset
from audit.models import History
from console.queries.paging import fingerprint
from tests import factories

from ..markup import markup
from .matching import all_of

pytestmark = pytest.mark.django_db
CHANGE = "/hosts/labels/change/"


@pytest.fixture
def many(db):
    """Sixty hosts, more than a page: all but two of them in the EU."""
    hosts = factories.hosts(60)
    Asset.objects.filter(pk__in=[host.pk for host in hosts[2:]]).update(labels={"zone": "eu"})
    return hosts


def changed() -> int:
    return Asset.objects.filter(labels__has_key="rack").count()


def test_ticked_hosts_get_labels_and_lose_some(admin, many):
    page = markup(admin.get("/hosts/"))
    assert 'name="host"' in page and "Change labels…" in page
    sent = {"host": [many[0].pk, many[5].pk], "add_labels": "rack='4 b' canary=", "remove_labels": "zone old"}
    said = markup(admin.post(CHANGE, sent, follow=True))
    assert "The labels of 2 hosts were changed." in said
    labels = list(Asset.objects.filter(pk__in=sent["host"]).values_list("labels", flat=True))
    assert labels == [{"rack": "4 b", "canary": ""}] * 2 and changed() == 2
    history = markup(admin.get("/history/"))
    assert "Label zone removed" in history and "Label rack set to “4 b”" in history


def in_eu() -> QuerySet[Asset]:
    return Asset.objects.filter(labels__zone="eu")


def test_all_that_match_get_them_beyond_the_page(admin, many):
    assert "All 58 hosts that match" in markup(admin.get("/hosts/", {"label": "zone=eu"}))
    sent = {"label": "zone=eu", **all_of(in_eu()), "add_labels": "rack=4", "host": [many[0].pk]}
    answer = admin.post(CHANGE, sent)
    assert answer["Location"] == "/hosts/?label=zone%3Deu" and changed() == 58
    assert History.objects.filter(action="change", subject="host").count() == 58


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"all": "58"}, "The list has changed: 58 hosts match the filter now"),
        ({"all": "58", "matching": "x"}, "The list has changed"),
        ({"all": "0", "matching": fingerprint([]), "label": "zone='"}, "select at least one host"),
        ({}, "select at least one host"),
        ({"host": ["x"]}, ""),
        ({"host": ["999999"]}, "There is no such host"),
    ],
)
def test_what_no_one_chose_is_not_changed(admin, many, more, said):
    answer = admin.post(CHANGE, {"label": "zone=eu", "add_labels": "rack=4", **more}, follow=True)
    assert said in markup(answer) and changed() == 0


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"add_labels": "rack"}, "add_labels", "rack has no value"),
        ({"add_labels": "rack='4"}, "add_labels", "quotation mark"),
        ({"add_labels": "rack=4", "remove_labels": "rack"}, "remove_labels", "must not name labels that are added"),
        ({"remove_labels": "-x"}, "remove_labels", "invalid label"),
        ({}, "add_labels", "must have a label"),
    ],
)
def test_refusal_stands_at_its_field_and_keeps_what_was_typed(admin, many, typed, field, said):
    page = markup(admin.post(CHANGE, {"host": [many[1].pk], "q": "host", **typed}, follow=True))
    wrong = page.partition(f'id="change-{field}-wrong"')[2]
    assert said in wrong.partition("</span>")[0], page
    ticked = page.partition(f'value="{many[1].pk}"')[2].partition(">")[0]
    assert "checked" in ticked and changed() == 0


def test_operator_neither_sees_nor_sends_it(operator, many):
    page = markup(operator.get("/hosts/"))
    assert "Change labels" not in page and 'name="host"' not in page
    assert operator.post(CHANGE, {"host": [many[0].pk], "add_labels": "rack=4"}).status_code == 403
    assert changed() == 0


def test_as_many_others_are_not_changed(admin, many):
    """One was added and another one went since the list was shown."""
    shown = all_of(in_eu())
    Asset.objects.filter(pk=many[0].pk).update(labels={"zone": "eu"})
    Asset.objects.filter(pk=many[2].pk).update(labels={"zone": "us"})
    assert shown["all"] == all_of(in_eu())["all"]
    answer = admin.post(CHANGE, {"label": "zone=eu", "add_labels": "rack=4", **shown}, follow=True)
    assert "The list has changed" in markup(answer) and changed() == 0


def test_archived_hosts_have_no_boxes(admin, many):
    Asset.objects.filter(pk=many[0].pk).update(archived="2026-01-01T00:00:00Z")
    page = markup(admin.get("/hosts/", {"state": "archived"}))
    assert many[0].hostname in page and 'name="host"' not in page
    assert "There is no such host" in markup(
        admin.post(CHANGE, {"host": [many[0].pk], "add_labels": "rack=4"}, follow=True)
    )


@pytest.mark.parametrize("more", [0, 200])
def test_cost_does_not_grow_with_hosts(admin, many, more, django_assert_max_num_queries):
    factories.hosts(more, prefix="more")
    with django_assert_max_num_queries(22):
        admin.post(CHANGE, {**all_of(Asset.objects.all()), "add_labels": "rack=4"})
    assert changed() == 60 + more
