"""PATCH /hosts/: labels of many hosts."""

import pytest

from asset.models import Asset, HostGroup
from tests import factories

pytestmark = pytest.mark.django_db
HOSTS = "/hosts/"


@pytest.fixture
def hosts(db):
    """Four hosts, the first two of them in the EU."""
    made = factories.hosts(4, prefix="web")
    Asset.objects.filter(pk__in=[host.pk for host in made[:2]]).update(labels={"zone": "eu"})
    HostGroup.objects.create(name="europe", labels={"zone": "eu"})
    return made


def changed() -> list[str]:
    return list(Asset.objects.filter(labels__has_key="rack").order_by("pk").values_list("hostname", flat=True))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"host": "all"}, [0, 1, 2, 3]),
        ({"labels": {"zone": "eu"}}, [0, 1]),
        ({"labels": {"zone": None}}, [0, 1]),
        ({"group": "europe"}, [0, 1]),
    ],
)
def test_hosts_are_chosen_as_everywhere(api, hosts, where, expected):
    answer = api().patch(HOSTS, {**where, "add_labels": {"rack": "4"}, "remove_labels": ["zone"]})
    assert (answer.status_code, answer.json()) == (200, {"changed": len(expected), "code": 0})
    assert changed() == [hosts[number].hostname for number in expected]


def test_named_hosts_and_again(api, hosts):
    body = {"host": [hosts[0].pk, hosts[3].hostname], "add_labels": {"rack": "4"}}
    assert api().patch(HOSTS, body).json()["changed"] == 2
    assert api().patch(HOSTS, body).json()["changed"] == 0
    assert Asset.objects.get(pk=hosts[0].pk).labels == {"zone": "eu", "rack": "4"}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"add_labels": {"rack": "4"}}, ["/host"]),
        ({"host": "all"}, ["/add_labels"]),
        ({"host": "all", "group": "europe", "add_labels": {"rack": "4"}}, ["/host", "/group"]),
        ({"labels": {"zone": "asia"}, "add_labels": {"rack": "4"}}, ["/labels"]),
        ({"group": "asia", "add_labels": {"rack": "4"}}, ["/group"]),
        ({"host": ["nowhere"], "add_labels": {"rack": "4"}}, ["/host"]),
        ({"host": "all", "add_labels": {"-": "4"}}, ["/add_labels"]),
        ({"host": "all", "add_labels": {"rack": 4}}, ["/add_labels/rack"]),
        ({"host": "all", "add_labels": {"rack": "4\0"}}, ["/add_labels/rack"]),
        ({"host": "all", "add_labels": {"rack": "4\n"}}, ["/add_labels"]),
        ({"host": "all", "remove_labels": ["rack", "-"]}, ["/remove_labels"]),
        ({"host": "all", "labels": {}, "add_labels": {"rack": "4"}}, ["/host", "/labels"]),
        ({"host": "all", "add_labels": {"rack": "4"}, "hostname": "x"}, ["/hostname"]),
    ],
)
def test_wrong_requests_change_nothing(api, hosts, body, pointers):
    answer = api().patch(HOSTS, body)
    assert answer.status_code == 422, answer.content
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert changed() == []


def test_administrators_alone(api, hosts):
    body = {"host": "all", "add_labels": {"rack": "4"}}
    assert api("read", "deploy").patch(HOSTS, body).status_code == 403
    assert changed() == []
