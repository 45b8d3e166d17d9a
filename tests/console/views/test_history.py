"""History pages: filters, times in the reader's zone, and version changes between two moments."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from access.callers import Caller
from asset.models import Asset
from audit.history import record
from audit.models import History
from microservice.models import Deployment, MicroService, MicroServiceVersion, Operation
from microservice.status import Action, DeploymentStatus, OperationStatus

from ..markup import markup

pytestmark = pytest.mark.django_db

NOON = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def typed(moment) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")


def deeds() -> MicroService:
    shop = MicroService.objects.create(name="shop")
    for minute, actor, action in ((-30, "ada", "create"), (10, "ada", "change"), (20, "bob", "change")):
        row = record(
            Caller(name=actor, address="192.0.2.9"),
            action,
            "service",
            shop,
            {"keep": 3},
            {"keep": minute},
            service=shop,
            reason="because of it",
        )
        History.objects.filter(pk=row.pk).update(created=NOON + timedelta(minutes=minute))
    record(Caller(name="ada"), "create", "host", None, subject_name="web1")
    return shop


def shown(client, query: str) -> set[str]:
    """Return which of the entries are on the page."""
    page = markup(client.get(f"/history/?{query}"))
    return set(re.findall(r"Keep changed from 3 to (-?\d+)", page)) | ({"host"} if "web1" in page else set())


def test_filters_history(admin, cost):
    deeds()
    assert shown(admin, "") == {"-30", "10", "20", "host"}
    hour = f"since={typed(NOON)}&until={typed(NOON + timedelta(hours=1))}"
    assert shown(admin, hour) == {"10", "20"}
    assert shown(admin, f"{hour}&actor=bob") == {"20"}
    assert shown(admin, "service=shop") == {"-30", "10", "20"}
    assert shown(admin, "action=create") == {"-30", "host"} and shown(admin, "q=web") == {"host"}
    page = markup(admin.get(f"/history/?{hour}"))
    assert "from 192.0.2.9" in page and "“because of it”" in page and "Times are in UTC." in page
    assert cost(admin, "/history/") <= 6


def test_times_are_in_browser_zone(admin):
    deeds()
    admin.cookies["zone"] = "Asia/Shanghai"
    there = NOON + timedelta(hours=8)
    assert shown(admin, f"since={typed(there)}&until={typed(there + timedelta(minutes=15))}") == {"10"}
    page = markup(admin.get("/history/"))
    assert f"{there + timedelta(minutes=10):%Y-%m-%d %H:%M:%S} CST" in page and "Times are in Asia/Shanghai." in page
    assert 'data-zone="Asia/Shanghai"' in page
    assert shown(admin, f"since={quote(NOON.isoformat())}") == {"10", "20", "host"}
    for wrong in ("../../etc/passwd", "America", "Nowhere/Land", "x" * 500, "UTC\r\nx"):
        admin.cookies["zone"] = wrong
        assert "Times are in UTC." in markup(admin.get("/history/"))
    admin.cookies["zone"] = "Asia/Shanghai"
    rows = admin.get("/api/v1/history/").json()["data"]
    assert all(row["created"].endswith(("Z", "+00:00")) for row in rows)


@pytest.mark.parametrize("address", ["/history/", "/history/moves/"])
@pytest.mark.parametrize(
    "query",
    ["since=noon", "until=2026-13-01T00:00", "since=0001-01-01T00:00", "since=2026-01-02T00:00&until=2026-01-01T00:00"],
)
def test_rejects_invalid_time(admin, address, query):
    answer = admin.get(f"{address}?{query}")
    page = markup(answer)
    assert answer.status_code == 422 and re.search(r'id="(since|until)-wrong">must be', page)
    assert f'value="{query.partition("=")[2].partition("&")[0]}"' in page


def test_folds_many_fields(admin):
    after = {f"field{n}": str(n) for n in range(6)} | {"labels": {"rack": "a1", "zone": ["x", "y"]}}
    record(Caller(name="ada"), "create", "host", None, after=after)
    page = markup(admin.get("/history/"))
    assert "4 more changes" in page and "{&#x27;" not in page
    assert "Label rack set to “a1”" in page and "Label zone set to x, y" in page


def moved() -> None:
    """shop: two hosts from 1 to 2, one there and back; till: installed, and removed on another host."""
    versions = {}
    for name in ("shop", "till"):
        service = MicroService.objects.create(name=name)
        for version in ("1", "2"):
            versions[name, version] = MicroServiceVersion.objects.create(microservice=service, version=version)
    hosts = [Asset.objects.create(hostname=f"web{n}", ip=f"192.0.2.{n}") for n in range(1, 5)]
    plan = [
        (5, "shop", Action.UPGRADE, "1", "2", (0, 1, 2), OperationStatus.SUCCEEDED),
        (10, "shop", Action.REVERT, "2", "1", (2,), OperationStatus.SUCCEEDED),
        (15, "shop", Action.UPGRADE, "1", "2", (3,), OperationStatus.UNDONE),
        (20, "till", Action.INSTALL, None, "1", (0,), OperationStatus.SUCCEEDED),
        (25, "till", Action.DELETE, "1", None, (1,), OperationStatus.SUCCEEDED),
        (90, "till", Action.UPGRADE, "1", "2", (0,), OperationStatus.SUCCEEDED),
    ]
    for minute, name, action, old, new, places, status in plan:
        at = NOON + timedelta(minutes=minute)
        from_version, dest_version = versions.get((name, old)), versions.get((name, new))
        deployment = Deployment.objects.create(
            microservice=MicroService.objects.get(name=name),
            action=action,
            from_version=from_version,
            dest_version=dest_version,
            status=DeploymentStatus.SUCCEEDED,
            requested_by="ada",
            created=at,
            finished=at,
        )
        for place in places:
            Operation.objects.create(
                deployment=deployment,
                instance_id_snapshot=place,
                host=hosts[place],
                action=action,
                from_version=from_version,
                dest_version=dest_version,
                status=status,
                finished=at,
            )


def test_version_changes(admin, cost):
    moved()
    address = f"/history/moves/?since={typed(NOON)}&until={typed(NOON + timedelta(hours=1))}"
    page = markup(admin.get(address))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "5 instances changed" in text
    assert re.search(r"shop Copy shop 1 → 2 web1, web2 ", text) and re.search(
        r"shop Copy shop 1 → 2 → 1 changed back web3 ", text
    )
    assert re.search(r"till Copy till not installed → 1 web1 ", text) and re.search(
        r"till Copy till 1 → not installed web2 ", text
    )
    assert "web4" not in text, "an upgrade that was undone moved nothing"
    assert "6 instances" not in text and "ada" in text
    assert "2 instances changed" in markup(admin.get(f"{address}&service=till"))
    assert cost(admin, address) <= 5
    late = f"since={typed(NOON + timedelta(hours=1))}&until={typed(NOON + timedelta(hours=2))}"
    assert "1 instance changed" in markup(admin.get(f"/history/moves/?{late}"))
    assert "No versions changed in this period" in markup(admin.get("/history/moves/"))


@pytest.mark.found("time")
@pytest.mark.parametrize(
    ("asked", "name", "reason"),
    [
        ({"since": "2026-03-01T12:00", "until": "2026-03-01T11:00"}, "until", "must be after the start"),
        ({"since": "yesterday"}, "since", "must be a time such as 2027-01-31T14:00"),
    ],
)
@pytest.mark.parametrize("path", ["/history/", "/history/moves/"])
def test_names_field_of_invalid_time(admin, path, asked, name, reason):
    answer = admin.get(path, asked)
    page = markup(answer)
    assert answer.status_code == 422 and f'id="{name}-wrong">{reason}<' in page
    assert "No matching entries" not in page and "No history yet" not in page
