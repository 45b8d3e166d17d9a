"""The list of all builds: who sees which, filters, pages, and what it costs when there are many."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from access.callers import Caller
from access.permissions import Rights
from builds import build_requests, listing
from builds.models import Build
from messages.rendering import literal
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories

from .steps import ANN, pending

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick")]
EVERYTHING = Caller(name="root", scopes=frozenset({"read"}))


def built(service, name, status=BuildStatus.SUCCESS, **more) -> Build:
    version = MicroServiceVersion.objects.create(microservice=service, version=name, status=status)
    return Build.objects.create(version=version, origin=more.pop("origin", "git"), status=status, **more)


def names(answer) -> list[str]:
    return [row["version"]["version"] for row in answer.json()["data"]]


def test_lists_and_filters(api, service):
    other, now = factories.service("cart", build_orig="gitlab"), timezone.now()
    built(service, "1.0", requested_by="ann", created=now - timedelta(days=3), started=now, finished=now)
    built(service, "2.0", BuildStatus.FAILED, requested_by="bob", commit="a" * 40)
    built(other, "1.1", BuildStatus.BUILDING, origin="gitlab", requested_by="ann", started=now)
    caller = api("read")
    assert names(caller.get("/builds/")) == ["1.1", "2.0", "1.0"]
    row = caller.get("/builds/").json()["data"][1]
    assert (row["service"]["name"], row["status_str"], row["commit"]) == ("shop", "failed", "a" * 40)
    assert row["page"].endswith(f"/services/shop/versions/{row['version']['id']}/?attempt={row['id']}#build")
    assert "log" not in row
    for wanted, found in {
        "service=shop": ["2.0", "1.0"],
        f"service={other.pk}": ["1.1"],
        "status=open": ["1.1"],
        "status=failed": ["2.0"],
        "origin=gitlab": ["1.1"],
        "requested_by=ann": ["1.1", "1.0"],
        f"since={(now - timedelta(days=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}": ["1.1", "2.0"],
        "since=2999-01-01T00:00:00Z": [],
        "service=shop&requested_by=ann": ["1.0"],
    }.items():
        assert names(caller.get(f"/builds/?{wanted}")) == found, wanted
    assert caller.get("/builds/?service=nowhere").status_code == 404
    for wrong in ("status=odd", "origin=svn", "since=yesterday", "cursor=x"):
        assert caller.get(f"/builds/?{wrong}").status_code == 422, wrong


def test_pages_without_gaps(api, service, django_assert_num_queries):
    for number in range(7):
        built(service, f"{number}.0")
    caller, seen, cursor = api("read"), [], ""
    caller.get("/builds/")
    while cursor is not None:
        with django_assert_num_queries(3):  # the token, the count, the page
            answer = caller.get(f"/builds/?limit=3&cursor={cursor}")
        seen += names(answer)
        cursor = answer.json()["next"]
    assert seen == [f"{number}.0" for number in range(6, -1, -1)]


def test_shows_only_visible_services(service):
    other = factories.service("cart")
    built(service, "1.0")
    built(other, "2.0")
    token = Caller(name="ci", scopes=frozenset({"read"}), services=frozenset({other.pk}))
    assert [build.version.version for build in listing.builds(token, {})] == ["2.0"]
    assert list(listing.builds(token, {"service": "shop"})) == []
    nobody = Caller(name="eve", user_id=1, scopes=frozenset({"read"}), rights=Rights({}, frozenset(), False))
    assert list(listing.builds(nobody, {})) == []


@pytest.mark.parametrize(
    "filters",
    [{"service": "shop"}, {"status": "open"}, {"status": "failed"}, {"origin": "image"}, {"requested_by": "ann"}],
)
def test_reads_no_more_than_a_page(service, filters):
    """No filter reads the whole table, though no row of many fits."""
    version = pending(service)
    rows = (Build(version=version, microservice=service, origin="git", status=BuildStatus.SUCCESS) for _ in range(3000))
    Build.objects.bulk_create(rows)
    if connection.vendor == "postgresql":  # autovacuum does it there; nothing analyzes SQLite
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    plan = listing.builds(EVERYTHING, filters).order_by("-pk")[:51].explain()
    read_whole = "Seq Scan on build" if connection.vendor == "postgresql" else "SCAN build\n"
    assert read_whole not in f"{plan}\n", plan


def test_page_lists_filters_and_acts(client, admin_user, service):
    client.force_login(admin_user)
    assert "No builds yet" in client.get("/builds/").content.decode()
    running, failed = pending(service, "1.0"), pending(service, "2.0")
    build_requests.start(ANN, running)
    build_requests.end(build_requests.start(ANN, failed), BuildStatus.FAILED, literal("no compiler"))
    shown = client.get("/builds/").content.decode()
    assert "no compiler" in shown and f"/services/shop/versions/{running.pk}/build/cancel/" in shown
    assert f"/services/shop/versions/{failed.pk}/build/" in shown and 'aria-current="page"' in shown
    assert "No matching builds" in client.get("/builds/?status=success").content.decode()
    shown = client.get("/builds/?status=failed&since=1d&origin=git&requested_by=ann&service=shop").content.decode()
    assert "no compiler" in shown and "build/cancel/" not in shown
    came = {"HTTP_REFERER": "http://testserver/builds/?status=failed"}
    answer = client.post(f"/services/shop/versions/{failed.pk}/build/", {"again": "on"}, **came)
    assert answer["Location"] == "/builds/?status=failed" and Build.objects.filter(version=failed).count() == 2
    client.post(f"/services/shop/versions/{running.pk}/build/cancel/", {"again": "on"}, **came)
    assert Build.objects.get(version=running).is_cancelled
    foreign = client.post(
        f"/services/shop/versions/{running.pk}/build/", {"again": "on"}, HTTP_REFERER="https://x.example/builds/"
    )
    assert foreign["Location"].startswith("/")


def test_page_costs_the_same_for_many(client, admin_user, service, django_assert_max_num_queries):
    client.force_login(admin_user)
    for number in range(60):
        built(service, f"{number}.0", log="x" * 100)
    client.get("/builds/")
    with django_assert_max_num_queries(8):
        shown = client.get("/builds/").content.decode()
    assert shown.count('<tr id="build-') == 50
    more = client.get("/builds/", {"after": str(Build.objects.order_by("-pk")[49].pk)}, HTTP_HX_REQUEST="true")
    assert more.content.decode().count('<tr id="build-') == 10
