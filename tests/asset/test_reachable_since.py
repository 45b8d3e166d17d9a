"""Since when a host is reachable or not, apart from when it was last checked; a change is an event."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import Caller
from asset import hosts, reachability
from asset.models import Asset
from audit.models import Event
from tests import factories
from tests.lab.network import free_port

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=3)


def states():
    return {row.hostname: (row.reachable, row.reachable_since) for row in Asset.objects.all()}


def test_keeps_time_until_reachability_changes(django_assert_num_queries):
    never, silent, well = factories.hosts(3)
    Asset.objects.filter(pk=silent.pk).update(reachable=False, reachable_since=LONG_AGO)
    Asset.objects.filter(pk=well.pk).update(reachable=True, reachable_since=LONG_AGO)
    with django_assert_num_queries(1):
        reachability.note(Asset.objects.all(), False, "no answer")
    found = states()
    assert found[silent.hostname] == (False, LONG_AGO)
    assert all(found[one.hostname][0] is False and found[one.hostname][1] > LONG_AGO for one in (never, well))
    assert set(Asset.objects.values_list("last_contact", "last_error")) == {(None, "no answer")}
    reachability.note(Asset.objects.filter(pk=silent.pk), True)
    silent.refresh_from_db()
    assert silent.reachable_since > LONG_AGO and silent.last_contact and silent.last_error == ""


def test_writes_one_event_for_a_silent_host():
    host = Asset.objects.create(hostname="web1", ip="127.0.0.1", port=free_port(), host_key="ssh-ed25519 AAAA")
    for _ in range(2):
        assert not hosts.check(host, Caller(name="ann"))["reachable"]
        host.refresh_from_db()
    assert host.reachable is False and host.reachable_since
    event = Event.objects.get(kind="host")
    assert (event.deployment_id, event.data) == (None, {"id": host.pk, "reachable": False})
