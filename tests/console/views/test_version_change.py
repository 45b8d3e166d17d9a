"""The dialogs that upgrade and revert: their plan, their confirmation, and their choices."""

import html
import re
import threading
from datetime import timedelta

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from asset.models import HostGroup
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus, InstanceStatus
from tests import factories

from ..markup import markup
from .dialogs import hidden


def test_dialog_shows_plan(admin, versions):
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/"))
    assert "currently running" in page and "an upgrade needs a newer version" in page
    assert "Upgrade 4 hosts from 2.0 to 3.0" in page
    for number in range(1, 5):
        assert f"host{number}" in page
    assert "all steps can be undone" in page and "stop the running version" in page


def test_confirmation_starts_deployment(admin, versions):
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    answer = admin.post(where, hidden(markup(admin.get(where))))
    deployment = Deployment.objects.get()
    assert answer.status_code == 302 and answer["Location"] == f"/deployments/{deployment.pk}/"
    assert deployment.dest_version == versions.newer and deployment.operations.count() == 4
    assert deployment.requested_by == "ada"


def test_submitted_twice_starts_one_deployment(admin, versions):
    where = f"/services/shop/versions/{versions.running.pk}/revert/"
    form = hidden(markup(admin.get(where)))
    first, second = admin.post(where, form), admin.post(where, form)
    assert first["Location"] == second["Location"]
    assert Deployment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_double_click_starts_one_deployment():
    from django.contrib.auth import get_user_model
    from django.db import connection

    versions = factories.versions(factories.service("shop"), 2)
    factories.instances(versions[0], factories.hosts(4))
    user = get_user_model().objects.create_superuser("ada", password="x")
    where = f"/services/shop/versions/{versions[0].pk}/upgrade/"
    client = Client()
    client.force_login(user)
    form = hidden(markup(client.get(where)))
    found: list[str] = []
    together = threading.Barrier(6)

    def click() -> None:
        mine = Client()
        mine.cookies = client.cookies
        together.wait()
        found.append(mine.post(where, form).headers.get("Location", "none"))
        connection.close()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Deployment.objects.count() == 1
    assert set(found) == {f"/deployments/{Deployment.objects.get().pk}/"}


def test_rejects_key_of_other_request(admin, versions):
    where = f"/services/shop/versions/{versions.running.pk}/revert/"
    form = hidden(markup(admin.get(where)))
    admin.post(where, form)
    answer = admin.post(where, form | {"canary": ["1"]})
    assert answer.status_code == 422 and Deployment.objects.count() == 1


def test_rejects_changed_plan(admin, versions):
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    form = hidden(markup(admin.get(where)))
    MicroServiceInstance.objects.filter(host__hostname="host2").update(version=versions.older)
    answer = admin.post(where, form)
    assert answer.status_code == 409
    assert "host2" in markup(answer) and not Deployment.objects.exists()
    assert "Upgrade 3 hosts" in markup(answer), "the new plan is there to be confirmed"


def test_unavailable_hosts_have_reasons(admin, versions):
    MicroServiceInstance.objects.filter(host__hostname="host1").update(is_maintain=True)
    MicroServiceInstance.objects.filter(host__hostname="host2").update(status=InstanceStatus.DELETE_FAILED)
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/"))
    assert "is in maintenance" in page and "can only be retried or deleted" in page
    assert "Upgrade 2 hosts" in page and page.count('type="checkbox" name="host"') == 4


def test_only_ticked_hosts_are_planned(admin, versions):
    one = MicroServiceInstance.objects.get(host__hostname="host3")
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/?where=some&host={one.host_id}"))
    assert "Upgrade 1 host from" in page
    assert hidden(page)["host"] == [str(one.host_id)]


def test_strategy_is_in_plan_and_request(admin, versions):
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    page = markup(admin.get(f"{where}?canary=1&batch_size=50%25&on_failure=revert_all&pause_between=on"))
    assert "4 hosts in 3 batches (1, 2, 1)" in page
    admin.post(where, hidden(page))
    assert Deployment.objects.get().strategy == {
        "batch_size": "50%",
        "canary": 1,
        "max_failures": 0,
        "on_failure": "revert_all",
        "pause_between": True,
    }


@pytest.mark.parametrize(
    "query",
    [
        "dest_version=x",
        "dest_version=999999",
        "where=some",
        "where=some&host=1;x",
        "batch_size=0",
        "canary=-1",
        "max_failures=x",
        "on_failure=explode",
    ],
)
def test_invalid_choice_cannot_be_confirmed(admin, versions, query):
    answer = admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/?{query}")
    assert answer.status_code == 200
    page = markup(answer)
    assert 'role="alert"' in page and 'id="confirm"' not in page


def test_rejects_forged_confirmation(admin, versions):
    other = factories.versions(factories.service("other"), 1)[0]
    (failed,) = factories.versions(versions.older.microservice, 1, BuildStatus.FAILED)
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    form = hidden(markup(admin.get(where)))
    for dest in (other.pk, failed.pk, versions.older.pk, versions.running.pk):
        key = f"00000000-0000-0000-0000-{dest:012}"
        assert admin.post(where, form | {"dest_version": [str(dest)], "key": [key]}).status_code == 422
    assert admin.post(where, form | {"key": ["not a key"]}).status_code == 422
    assert not Deployment.objects.exists()


def test_says_why_there_is_no_target_version(admin, versions):
    page = markup(admin.get(f"/services/shop/versions/{versions.newer.pk}/upgrade/"))
    assert "No version is newer than 3.0" in page and 'id="confirm"' not in page


def test_unknown_action_or_version(admin, versions):
    other = factories.versions(factories.service("other"), 1)[0]
    assert admin.get(f"/services/shop/versions/{versions.running.pk}/explode/").status_code in (404, 422)
    assert admin.get(f"/services/shop/versions/{other.pk}/upgrade/").status_code == 404


def test_dialog_query_count(admin, versions, cost):
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    small = cost(admin, where)
    factories.instances(versions.running, factories.hosts(150))
    assert cost(admin, where) == small


def test_revert_defaults_to_previous_version(admin, versions):
    factories.versions(versions.older.microservice, 1)
    latest = MicroServiceVersion.objects.order_by("-pk")[0]
    MicroServiceInstance.objects.update(version=latest, previous_version=versions.older)
    page = markup(admin.get(f"/services/shop/versions/{latest.pk}/revert/"))
    assert "Revert 4 hosts from 4.0 to 1.0" in page


def test_bad_version_needs_confirmation(admin, versions):
    MicroServiceVersion.objects.filter(pk=versions.newer.pk).update(bad=True, bad_reason="loses orders")
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    page = markup(admin.get(where))
    assert "loses orders" in page and "?allow_bad=on" in page and 'name="plan_token"' not in page
    page = markup(admin.get(f"{where}?allow_bad=on&dest_version={versions.newer.pk}"))
    sent = hidden(page)
    assert sent["allow_bad"] == ["True"]
    assert admin.post(where, {**sent, "allow_bad": ""}).status_code == 422
    assert admin.post(where, sent).status_code == 302
    where, hosts = f"/services/shop/versions/{versions.newer.pk}/install/", factories.hosts(1)
    assert 'id="confirm"' not in markup(admin.get(f"{where}?host={hosts[0].pk}"))
    sent = hidden(markup(admin.get(f"{where}?host={hosts[0].pk}&allow_bad=on")))
    assert admin.post(where, {**sent, "allow_bad": "", "key": ["0" * 36]}).status_code == 422
    assert admin.post(where, sent).status_code == 302


def test_pages_and_searches_versions(admin, cost):
    shop = factories.service("shop")
    versions = factories.versions(shop, 400)
    factories.instances(versions[199], factories.hosts(2))
    where = f"/services/shop/versions/{versions[199].pk}/upgrade/"
    page = markup(admin.get(where))
    assert page.count('name="dest_version" id="dest_version-') == 30 and "200 eligible" in page
    assert "Upgrade 2 hosts from 200.0 to 400.0" in page
    following = re.search(r"part=versions&amp;after=(\d+)", page)[1]
    more = markup(admin.get(f"{where}?part=versions&after={following}"))
    assert "370.0" in more and "<html" not in more
    found = markup(admin.get(f"{where}?part=versions&find=39&dest_version={versions[250].pk}"))
    assert "390.0" in found and "251.0" in found, "the chosen version stays in every search"
    assert "an upgrade needs a newer version" in found and "139.0" in found
    last = markup(admin.get(f"{where}?part=versions&after={versions[210].pk}"))
    assert "currently running" in last and "Other versions are not possible" in last
    small = cost(admin, where)
    factories.versions(shop, 300)
    assert cost(admin, where) == small
    assert admin.get(f"{where}?part=versions&find=%00&after=x&dest_version=x").status_code == 200


def test_shows_changes_between_versions(admin, versions):
    service = versions.older.microservice
    service.build_url = "https://github.com/team/shop"
    service.save()
    names = ("2026112010-master-aaaaaaa", "2026112011-master-bbbbbbb", "2026112012-x-y-ccccccc")
    for version, name in zip(versions, names, strict=True):
        MicroServiceVersion.objects.filter(pk=version.pk).update(version=name, description=f"note of {name[-7:]}")
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/upgrade/"))
    assert "bbbbbbb..ccccccc" in page and "https://github.com/team/shop/compare/bbbbbbb...ccccccc" in page
    assert "note of ccccccc" in page and "note of aaaaaaa" not in page and "1 version ahead, built" in page


def test_pages_hosts_selected_first(admin, versions):
    factories.instances(versions.running, factories.hosts(120, prefix="more"))
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    last = MicroServiceInstance.objects.order_by("host__hostname").last()
    page = markup(admin.get(f"{where}?where=some&host={last.host_id}"))
    boxes = re.findall(r'name="host" id="host-(\d+)"[^>]*?( checked)?>', page)
    assert boxes[0] == (str(last.host_id), " checked") and len(boxes) == 51
    following = re.search(r"part=hosts&amp;after=([\w%-]+)", page)[1]
    more = markup(admin.get(f"{where}?part=hosts&after={following}&host={last.host_id}"))
    assert more.count('name="host"') == 50 and f'id="host-{last.host_id}"' not in more


def test_says_how_far_back_a_revert_goes(admin, versions, cost):
    """Also where hosts go back from several versions, as many queries for many as for one."""
    MicroServiceVersion.objects.filter(pk=versions.older.pk).update(created=timezone.now() - timedelta(days=21))
    where = f"/services/shop/versions/{versions.newer.pk}"
    MicroServiceInstance.objects.filter(host__hostname__in=["host1", "host2"]).update(version=versions.newer)
    page = markup(admin.get(f"{where}/revert/?dest_version={versions.older.pk}"))
    assert "2 versions back, built" in page and "21 d ago" in page
    where = f"/services/shop/versions/{versions.older.pk}/deploy/"
    page, two_ways = markup(admin.get(where)), cost(admin, where)
    assert "2 versions back" in page and "1 version back" in page
    for version in factories.versions(versions.older.microservice, 3):
        factories.instances(version, factories.hosts(1))
    assert "5 versions back" in markup(admin.get(where)) and cost(admin, where) == two_ways


@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy"])
def test_warns_of_many_hosts_at_once(admin, versions, action):
    """And proposes batches; none of what was chosen is lost on the way to them."""
    start = versions.older if action == "deploy" else versions.running
    where = f"/services/shop/versions/{start.pk}/{action}/"
    assert "at the same time" not in markup(admin.get(where))
    factories.instances(versions.running, factories.hosts(10, prefix="more"))
    page = markup(admin.get(f"{where}?max_failures=2&where=all&note=why"))
    assert "14 hosts change at the same time" in page and "Start with one host" in page
    careful = html.unescape(re.search(r'href="(\?[^"]*)" data-fills=', page)[1])
    sent = QueryDict(careful[1:])
    assert (sent["canary"], sent["batch_size"], sent["note"], "max_failures" in sent) == ("1", "20%", "why", False)
    page = markup(admin.get(where + careful))
    assert "at the same time" not in page and "14 hosts in 8 batches" in page
    service = versions.running.microservice
    service.default_strategy = {"batch_size": 5}
    service.save()
    assert "at the same time" not in markup(admin.get(where)), "the service's own is chosen at first"
    page = markup(admin.get(f"{where}?shown=1&where=all"))
    assert "14 hosts change at the same time" in page and "Use the default strategy" in page
    assert "batch_size=5" in re.search(r'href="(\?[^"]*)" data-fills=', page)[1]


@pytest.mark.parametrize("action", ["upgrade", "revert", "deploy", "install"])
def test_fields_know_their_versions_and_their_choices(admin, versions, action):
    """Fields are made up before anything is rendered: a label would stay as it was before."""
    HostGroup.objects.create(name="europe", labels={"zone": "eu"})
    page = markup(admin.get(f"/services/shop/versions/{versions.running.pk}/{action}/"))
    assert ("Mark 2.0 as bad" in page) == (action == "revert")
    means = set(re.findall(r'data-means="([^"]*)"', page))
    assert means and all(f'id="{place}"' in page for place in means)
