"""Labels of many hosts, added and removed in one change."""

import pytest

from access.callers import Caller
from access.problems import Problem
from asset import label_changes, validation
from asset.models import Asset
from audit.models import History
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.rows]
ANN = Caller(name="ann", scopes=frozenset({"admin"}))


def labelled(*labels: dict[str, str]) -> list[Asset]:
    hosts = factories.hosts(len(labels))
    for host, own in zip(hosts, labels, strict=True):
        host.labels = own
        host.save()
    return hosts


def all_labels() -> list[dict[str, str]]:
    return list(Asset.objects.order_by("pk").values_list("labels", flat=True))


def test_labels_are_added_and_removed_and_the_others_stay():
    labelled({"zone": "eu", "rack": "4"}, {}, {"zone": "us", "old": "", "canary": ""})
    before = Asset.objects.order_by("pk")[1].updated
    assert label_changes.change(ANN, Asset.objects.all(), {"zone": "eu", "canary": ""}, ["old", "none"]) == 3
    assert all_labels() == [
        {"zone": "eu", "rack": "4", "canary": ""},
        {"zone": "eu", "canary": ""},
        {"zone": "eu", "canary": ""},
    ]
    row = Asset.objects.order_by("pk")[1]
    assert row.updated > before and row.updated_by == "ann"


@pytest.mark.parametrize("text", ["a'b\"c\\ %s {} ;--", "", "功能/支付 é", "null", "1", "{}", "\u2028"])
def test_what_the_database_writes_is_what_the_rule_says(text):
    own = [{"zone": "eu"}, {"a/b.c_d-e": "x", "gone": "y"}, {}]
    labelled(*own)
    add, remove = {"a/b.c_d-e": text, "new": text}, ["gone"]
    label_changes.change(ANN, Asset.objects.all(), add, remove)
    assert all_labels() == [label_changes.changed_labels(labels, add, remove) for labels in own]


def test_only_chosen_hosts_change_and_the_history_says_how():
    one, two, _ = labelled({"zone": "us"}, {"zone": "eu"}, {"zone": "us"})
    chosen = Asset.objects.filter(pk__in=[one.pk, two.pk])
    assert label_changes.change(ANN, chosen, {"zone": "eu"}, []) == 1, "the other one is in the EU already"
    assert all_labels() == [{"zone": "eu"}, {"zone": "eu"}, {"zone": "us"}]
    row = History.objects.get()
    assert (row.action, row.subject, row.subject_id, row.actor) == ("change", "host", one.pk, "ann")
    assert (row.before, row.after) == ({"labels": {"zone": "us"}}, {"labels": {"zone": "eu"}})


@pytest.mark.parametrize(
    ("add", "remove", "pointers"),
    [
        ({}, [], ["/add_labels"]),
        ({"-x": "1"}, ["-y"], ["/add_labels", "/remove_labels"]),
        ({"x": "a\nb"}, [], ["/add_labels"]),
        ({"x": "a" * 256}, [], ["/add_labels"]),
        ({"x": "1"}, ["x"], ["/remove_labels"]),
        ({str(number): "" for number in range(validation.MAX_LABELS)}, [], ["/add_labels"]),
    ],
)
def test_wrong_labels_change_nothing(add, remove, pointers):
    labelled({"zone": "eu"}, {})
    with pytest.raises(Problem) as caught:
        label_changes.change(ANN, Asset.objects.all(), add, remove)
    assert (caught.value.status, [error["pointer"] for error in caught.value.errors]) == (422, pointers)
    assert all_labels() == [{"zone": "eu"}, {}] and not History.objects.exists()


def test_cost_does_not_grow_with_hosts(django_assert_max_num_queries):
    labelled(*[{"zone": str(number)} for number in range(200)])
    with django_assert_max_num_queries(8):
        assert label_changes.change(ANN, Asset.objects.all(), {"x": "1"}, ["zone"]) == 200
    assert all_labels() == [{"x": "1"}] * 200
