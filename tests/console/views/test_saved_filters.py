"""Filters of lists that a person has saved: theirs alone, on the server, and never in what all viewers share."""

import pytest
from django.contrib.auth import get_user_model

from console.models import SavedFilter
from console.saved_filters import MAX_SAVED, PARAMETERS
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db
ASKS = {"HX-Request": "true"}
LISTS = {
    "fleet": ("/", "q=shop&state=failed"),
    "hosts": ("/hosts/", "q=web&label=zone%3Deu"),
    "versions": ("/services/shop/versions/", "q=2&status=success"),
    "instances": ("/services/shop/instances/", "q=web&label=zone%3Deu&state=failed"),
    "deployments": ("/deployments/", "service=shop&status=failed"),
    "builds": ("/builds/", "service=shop&status=failed&requested_by=ann"),
    "history": ("/history/", "since=2026-11-01T00%3A00&actor=ann&q=shop"),
}


def save(client, page: str, query: str, name: str = "mine", **more):
    return client.post("/filters/", {"page": page, "query": query, "name": name, "next": LISTS[page][0], **more})


def test_every_list_that_keeps_filters_is_tried():
    assert LISTS.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("page", LISTS)
def test_saved_applied_and_removed(admin, operator, page):
    factories.running()
    address, query = LISTS[page]
    shown = markup(admin.get(f"{address}?{query}"))
    assert "Save this filter" in shown and f'name="query" value="{query.replace("&", "&amp;")}"' in shown
    assert save(admin, page, query, next=f"{address}?{query}")["Location"] == f"{address}?{query}"
    plain, other = markup(admin.get(address)), markup(operator.get(address))
    link = f'href="?{query.replace("&", "&amp;")}"'
    assert link in plain and ">mine</a>" in plain and "Save this filter" not in plain
    assert ">mine</a>" not in other, "a filter is its person's own"
    there = markup(admin.get(f"{address}?{query}"))
    assert "Remove this filter" in there and 'aria-current="true">mine</a>' in there
    saved = SavedFilter.objects.get()
    operator.post("/filters/", {"remove": saved.pk})
    assert SavedFilter.objects.exists(), "no one removes another's"
    admin.post("/filters/", {"remove": saved.pk, "next": address})
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("page", ["fleet", "hosts", "versions", "instances", "builds"])
def test_fragments_hold_no_one_s_filters(admin, page):
    factories.running()
    address, query = LISTS[page]
    save(admin, page, query)
    fragment = admin.get(f"{address}?{query}", headers=ASKS).content.decode()
    assert "mine" not in fragment and "Save this filter" not in fragment
    assert 'id="saved-filters"' in fragment and "hx-morph-skip" in fragment, "the page keeps what it has"


def test_same_name_replaces(admin):
    save(admin, "hosts", "q=web")
    save(admin, "hosts", "q=db")
    save(admin, "deployments", "status=failed")
    assert list(SavedFilter.objects.order_by("pk").values_list("page", "name", "query")) == [
        ("hosts", "mine", "q=db"),
        ("deployments", "mine", "status=failed"),
    ]


def test_only_what_the_list_filters_by_is_kept(admin):
    save(admin, "hosts", "q=web&after=host9&rows=900&seen=7&state=&evil=1&q=last")
    save(admin, "instances", "version=3&state=failed", name="failed")
    assert list(SavedFilter.objects.order_by("name").values_list("query", flat=True)) == ["state=failed", "q=last"]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\0b"])
def test_refusals_stand_at_the_name(admin, name):
    factories.hosts(1, prefix="web")
    answer = save(admin, "hosts", "q=web", name=name, next="/hosts/?q=web")
    page = markup(admin.get(answer["Location"]))
    assert answer["Location"] == "/hosts/?q=web" and 'id="filter-name-wrong"' in page
    assert not SavedFilter.objects.exists() and '<details class="saves" open>' in page
    assert not name.strip() or f'value="{name}"' in page, "what was typed stays"


@pytest.mark.parametrize(
    "sent",
    [{"query": ""}, {"query": "after=3"}, {"query": "q=%00" + "x" * 3000}, {"page": "nowhere"}, {"page": ""}],
)
def test_what_is_no_filter_is_refused_above_its_list(admin, sent):
    at_the_list = {"Referer": "http://testserver/hosts/?q=web"}
    answer = admin.post("/filters/", {"page": "hosts", "query": "q=web", "name": "mine", **sent}, headers=at_the_list)
    assert answer["Location"] == "/hosts/?q=web" and not SavedFilter.objects.exists()
    assert "must be what a list is filtered by" in markup(admin.get(answer["Location"]))


def test_number_is_limited(admin):
    user = get_user_model().objects.get(username="ada")
    SavedFilter.objects.bulk_create(
        SavedFilter(user=user, page="hosts", name=f"filter {n}", query=f"q={n}") for n in range(MAX_SAVED)
    )
    answer = save(admin, "hosts", "q=web", next="/hosts/?q=web")
    assert "Remove one first" in markup(admin.get(answer["Location"]))
    assert SavedFilter.objects.count() == MAX_SAVED
    assert save(admin, "hosts", "q=web", name="filter 1").status_code == 302, "one may still be replaced"
    assert save(admin, "fleet", "q=web").status_code == 302


@pytest.mark.parametrize("address", ["https://example.com/", "//example.com", "javascript:alert(1)"])
def test_leads_nowhere_else(admin, address):
    assert save(admin, "hosts", "q=web", next=address)["Location"] == "/"
    assert admin.post("/filters/", {"remove": "x", "next": address})["Location"] == "/"


def test_costs_one_query_however_many_there_are(admin, cost):
    save(admin, "hosts", "q=web")
    before = cost(admin, "/hosts/")
    for n in range(20):
        save(admin, "hosts", f"q={n}", name=f"filter {n}")
    assert cost(admin, "/hosts/") == before


def test_strangers_save_nothing(client):
    answer = client.post("/filters/", {"page": "hosts", "query": "q=web", "name": "mine"})
    assert answer["Location"].startswith("/login/") and not SavedFilter.objects.exists()
