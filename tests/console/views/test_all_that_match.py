"""All instances that a filter means are changed together, and no others."""

import pytest

from asset.models import Asset
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories

from ..markup import markup
from .matching import all_of

pytestmark = pytest.mark.django_db


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
