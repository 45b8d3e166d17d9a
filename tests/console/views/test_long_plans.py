"""The plan of many hosts: its page names the first of each list, and links lead to the next ones."""

import html
import re

import pytest

from console.queries import plan_lists
from console.queries.plan_lists import Position
from microservice.deployments.plan import Plan, TargetPlan
from microservice.deployments.target_rows import TargetRow
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import Action
from tests import factories

from ..markup import markup
from .dialogs import hidden

LISTED = re.compile(r'<ul class="plan-hosts ?(\w*)".*?</ul>', re.S)
NEXT = re.compile(r'<a href="([^"]*plan_list=[^"]*)"\s+hx-get="([^"]*)"')


@pytest.fixture
def short(monkeypatch):
    """Show two rows of each list at first, then three."""
    monkeypatch.setattr(plan_lists, "FIRST_ROWS", 2)
    monkeypatch.setattr(plan_lists, "NEXT_ROWS", 3)


def rows(text: str) -> list[str]:
    return [row for row in re.findall(r"<li>([^<]*)</li>", text) if row.strip()]


def links(text: str) -> tuple[str, str]:
    """Return the address of the next page for a person and for the script; the last page has none."""
    found = NEXT.search(text)
    return (html.unescape(found[1]), html.unescape(found[2])) if found else ("", "")


@pytest.mark.parametrize("script", [True, False])
def test_each_host_is_on_one_page_of_the_list(admin, versions, short, script):
    more = factories.hosts(5, prefix="more")
    factories.instances(versions.running, more)
    where = f"/services/shop/versions/{versions.newer.pk}/deploy/"
    page = markup(admin.get(where))
    assert "Deploy 3.0 to 9 hosts" in page
    listed = LISTED.search(page)[0]
    seen, pages = rows(listed), 1
    while address := links(listed)[script]:
        listed = markup(admin.get(where + address))
        if not script:
            assert "Deploy 3.0 to 9 hosts" in listed and "Back to the first" in listed
            listed = LISTED.search(listed)[0]
        seen += rows(listed)
        pages += 1
    assert pages == 4 and len(seen) == len(set(seen)) == 9 and set(map(str, more)) < set(seen)


def test_skipped_targets_are_listed_page_by_page(admin, versions, short):
    first = MicroServiceInstance.objects.order_by("pk")[:3]
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in first]).update(is_maintain=True)
    where = f"/services/shop/versions/{versions.newer.pk}/deploy/"
    page = markup(admin.get(where))
    assert "Skipped: 3" in page and "to 1 host" in page
    (skipped,) = (found[0] for found in LISTED.finditer(page) if found[1] == "muted")
    assert len(rows(skipped)) == 2 and "Next host of 3" in skipped
    following = markup(admin.get(where + links(skipped)[1]))
    assert len(rows(following)) == 1 and "maintenance" in following and not links(following)[1]


def test_choices_stay_in_the_address_of_the_next_page(admin, versions, short):
    where = f"/services/shop/versions/{versions.running.pk}/upgrade/"
    ticked = [row.host_id for row in MicroServiceInstance.objects.all()[:3]]
    page = markup(admin.get(where, {"where": "some", "host": ticked, "canary": "1", "plan_after": "x", "after": "zz"}))
    person, script = links(page)
    assert all(f"host={host}" in person and f"host={host}" in script for host in ticked)
    assert "canary=1" in person and "plan_token" not in person and "after=zz" not in person
    assert len(rows(markup(admin.get(where + script)))) == 1
    assert "3 hosts in 2 batches (1, 2)" in markup(admin.get(where + person))


def test_unknown_lists_and_pages(admin, versions, short):
    where = f"/services/shop/versions/{versions.newer.pk}/deploy/"
    assert admin.get(f"{where}?part=plan&plan_list=nonsense&plan_after=2").status_code == 404
    assert admin.get(f"{where}?part=plan&plan_list=0&plan_after=2&canary=x").status_code == 404
    assert len(rows(markup(admin.get(f"{where}?part=plan&plan_list=0&plan_after={'9' * 30}")))) == 2
    assert rows(markup(admin.get(f"{where}?part=plan&plan_list=0&plan_after=99"))) == []


def test_hosts_of_many_groups(short, monkeypatch):
    """More groups than are shown with their steps: their hosts make a list of its own."""
    monkeypatch.setattr(plan_lists, "SHOWN_GROUPS", 1)
    ways = [TargetPlan(Action.UPGRADE, "1.0", "2.0", [{"name": name, "undoable": True}]) for name in "abc"]
    ways.append(TargetPlan(Action.UPGRADE, "1.5", "2.0", ways[0].steps))
    targets = [
        (TargetRow(None, place, 1, 0, "", 100, f"h{place}", "::", 22, "", None, "/srv", False), ways[place % 4])
        for place in range(8)
    ]
    found = plan_lists.lists(Plan(Deployment(), targets), Position("others", 2))
    assert [(group.steps[0]["name"], group.hosts.rows, group.hosts.count) for group in found.groups] == [
        ("a", ["h0:::", "h4:::"], 4)
    ]
    assert (found.others.rows, found.others.next) == (["h2:::", "h6:::"], 0) and found.find("others") is found.others


def test_token_of_a_later_page_holds(admin, versions, short):
    where = f"/services/shop/versions/{versions.newer.pk}/deploy/"
    person, _script = links(markup(admin.get(where)))
    form = hidden(markup(admin.get(where + person)))
    assert "plan_list" not in form
    assert admin.post(where, form).status_code == 302 and Deployment.objects.get().operations.count() == 4


def test_refusal_of_many_targets_shows_the_first_reasons(admin, versions):
    hosts = factories.hosts(60, prefix="more")
    factories.instances(versions.running, hosts, is_maintain=True)
    ids = [host.pk for host in hosts]
    page = markup(admin.get(f"/services/shop/versions/{versions.newer.pk}/deploy/", {"where": "some", "host": ids}))
    refusal = page[page.index('id="no-plan"') :]
    assert refusal.count("<code>/host</code>") == 50 and "the first 50 of 60 reasons" in refusal
