"""The file of every list: its rows, what a spreadsheet must not run, who may have it, and what it costs."""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_results.models import TaskResult

from access import turns
from access.callers import Caller
from access.models import Membership, Session, Team, Token
from access.secrets import Secret
from asset.models import Asset, Credential, Environment, HostGroup
from audit.history import record
from builds import build_requests
from builds.models import Build
from callbacks.models import Callback, Delivery
from console import csv_lists, tables
from console.models import SavedFilter
from console.queries import paging
from integrations.models import Setting
from microservice.models import (
    Deployment,
    DeploymentRequest,
    Freeze,
    Heartbeat,
    MicroService,
    MicroServiceVersion,
    Operation,
    Train,
    TrainPart,
)
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus
from tests import factories

from ..markup import markup
from ..tables import LISTS, OF_A_VERSION, List

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[3]
NAMELESS = (
    "calendar",
    "deployments",
    "waiting",
    "settings-history",
    "sessions",
    "sign-ins",
)  # their rows have a number, a time, a browser
NAMED = [one for one in LISTS if one.table.name not in NAMELESS and one != List(tables.BUILDS, OF_A_VERSION)]


def read(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content[:300]
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def file_of(client, address: str, table) -> list[dict[str, str]]:
    return read(client.get(f"{address}{'&' if '?' in address else '?'}csv={table.name}"))


def address_of(one) -> str:
    of = {
        "callback": Callback.objects.filter(request=""),
        "deployment": Deployment.objects,
        "host": Asset.objects,
        "version": MicroServiceVersion.objects.filter(microservice__name="shop"),
        "credential": Credential.objects,
        "person": get_user_model().objects,
        "team": Team.objects.filter(name="team-0"),
    }
    return one.address.format(
        **{name: rows.order_by("pk").values_list("pk", flat=True).first() for name, rows in of.items()}
    )


def fill(turn: int) -> None:
    """Add a row to each list."""
    now = timezone.now()
    service = MicroService.objects.filter(name="shop").first() or factories.service("shop")
    factories.service(f"shop-{turn}")
    old, new = factories.versions(service, 2)
    instances = factories.instances(old, factories.hosts(1))
    deployment = factories.deployment(instances, new, DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    first = Deployment.objects.order_by("pk").first()
    if turn:  # the first one has an operation more, too
        copy = deployment.operations.get()
        copy.pk, copy.deployment = None, first
        copy.save()
    Operation.objects.filter(deployment=deployment).update(finished=now)
    Deployment.objects.filter(pk=deployment.pk).update(finished=now, note="why")
    waits = Deployment.objects.create(microservice=service, action="deploy", dest_version=new, status="waiting")
    DeploymentRequest.objects.create(deployment=waits, request={}, expires=now)
    build = build_requests.Build.objects.create(version=new, microservice=service, origin="git", requested_by="ada")
    train = Train.objects.create(name=f"train-{turn}")
    TrainPart.objects.create(train=train, stage=0, position=0, service=service, version=new)
    Credential.objects.create(name=f"key-{turn}", secret=Secret("x"))
    Environment.objects.create(name=f"environment-{turn}")
    hour = {"start": timezone.now(), "end": timezone.now() + timedelta(hours=1)}
    Freeze.objects.create(name=f"freeze-{turn}", reason="moving", everywhere=True, **hour)
    HostGroup.objects.create(name=f"group-{turn}", labels={"zone": str(turn)})
    user = get_user_model().objects.create_user(f"person-{turn}")
    team = Team.objects.create(name=f"team-{turn}")
    Membership.objects.create(team=team, user=user, role="viewer")
    _fill_pages(turn)
    Token.objects.create(user=user, name=f"token-{turn}", digest=str(turn), services=[service.pk])
    told = Callback.objects.filter(request="").order_by("pk").first() or _callback()
    _callback() if turn else None
    Callback.objects.create(url="http://a.invalid/x", server="http://a.invalid", request=f"build:{build.pk}")
    Delivery.objects.create(callback=told, event="test", name=str(turn), message_id=str(turn), body="", until=now)
    Heartbeat.objects.create(worker=f"worker-{turn}", seen=now)
    TaskResult.objects.create(task_id=f"task-{turn}", status="SUCCESS")
    Setting.objects.create(document=Secret("{}"), created_by="ada")
    record(
        Caller(name="ada"), "change", "service", service, {"description": "a"}, {"description": "b"}, service=service
    )


def _fill_pages(turn: int) -> None:
    """Add a row to each list that is inside the page of something else: of the first host, version, team…"""
    now, admin = timezone.now(), get_user_model().objects.order_by("pk").first()
    host, credential = Asset.objects.order_by("pk").first(), Credential.objects.order_by("pk").first()
    version = MicroServiceVersion.objects.filter(microservice__name="shop").order_by("pk").first()
    team = Team.objects.get(name="team-0")
    factories.instances(factories.versions(MicroService.objects.get(name=f"shop-{turn}"), 1)[0], [host])
    instance = factories.instances(version, factories.hosts(1, f"more-{turn}-"))[0]
    Asset.objects.filter(pk=instance.host_id).update(credential=credential)
    for _ in range(2):
        Build.objects.create(
            version=version, microservice=version.microservice, status=BuildStatus.FAILED, finished=now
        )
    shop = version.microservice
    shop.secrets = shop.secrets.after({f"NAME_{turn}": "a secret"}, now)
    shop.save()
    Session.objects.create(user=admin, digest=f"digest-{turn}", data="", agent="A phone")
    record(Caller(name="root"), "sign_in", "user", admin, after={"agent": "A phone"})
    SavedFilter.objects.create(user=admin, page="hosts", name=f"filter-{turn}", query="q=web")
    Membership.objects.create(team=team, user=get_user_model().objects.create_user(f"member-{turn}"), role="viewer")
    MicroService.objects.filter(name=f"shop-{turn}").update(team=team)


def _callback() -> Callback:
    return Callback.objects.create(url="http://u:secret@a.invalid/", server="http://a.invalid", events=["test"])


@pytest.mark.parametrize("one", LISTS, ids=lambda one: one.table.name)
def test_page_counts_and_file_has_every_row(admin, one, monkeypatch):
    for turn in range(3):
        fill(turn)
    address = address_of(one)
    page = markup(admin.get(address))
    (tools,) = re.findall(
        rf'<span class="what muted">([^<]*)</span>\s*<a href="\?csv={one.table.name}" download>', page
    )
    rows = file_of(admin, address, one.table)
    assert len(rows) >= 1 and tools in (f"{len(rows)} entries", "1 entry")
    assert list(rows[0]) == list(one.table.columns)
    assert any(value for value in rows[0].values())
    assert "u:secret@" not in str(rows)
    monkeypatch.setattr(csv_lists, "MAX_ROWS", 2)
    assert file_of(admin, address, one.table) == rows, "the same in several pieces"


@pytest.mark.parametrize("one", NAMED, ids=lambda one: one.table.name)
def test_names_keep_one_line(admin, one):
    """The name of each row ends in dots where there is no room for it, and can be copied whole."""
    fill(0)
    _, _, rest = markup(admin.get(address_of(one))).partition(f'<a href="?csv={one.table.name}" download>')
    heads = re.findall(r'<th scope="row".*?</th>', rest.partition("</table>")[0], re.DOTALL)
    assert heads and all(re.search(r'<span class="name">.*?data-copies="', head, re.DOTALL) for head in heads), heads


@pytest.mark.parametrize("one", LISTS, ids=lambda one: one.table.name)
def test_costs_the_same_with_more_rows(admin, one):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            file_of(admin, address, one.table)
        return len(queries)

    fill(0)
    address = address_of(one)
    small = cost()
    for turn in range(1, 8):
        fill(turn)
    assert cost() == small


def test_every_list_is_tried():
    names = {table.name for table in vars(tables).values() if isinstance(table, csv_lists.Table)}
    assert names == {one.table.name for one in LISTS}
    shown = re.compile(r'list_tools.html" with .*table="([\w-]+)"')
    found = [name for path in (ROOT / "templates").rglob("*.html") for name in shown.findall(path.read_text())]
    assert set(found) == names, "each list has its file"
    # A template with rows that continue is a list, and a list says how many rows it has.
    lists = {"host/list_rows.html": "host/list_live.html", "fleet_rows.html": "fleet_live.html"}
    rows = [path for path in (ROOT / "templates").rglob("*rows.html") if "more.html" in path.read_text()]
    assert len(rows) > 10 and all((ROOT / "templates" / lists.get(name, name)).exists() for name in lists)


def test_file_has_what_is_filtered_and_seen(admin, viewer):
    fill(0)
    mine, other = Team.objects.get(name="lookers"), Team.objects.create(name="others")
    MicroService.objects.filter(name="shop").update(team=mine)
    MicroService.objects.filter(name="shop-0").update(team=other)
    assert [row["service"] for row in file_of(admin, "/?q=shop-", tables.FLEET)] == ["shop-0"]
    assert [row["service"] for row in file_of(viewer, "/", tables.FLEET)] == ["shop"]
    assert viewer.get("/people/?csv=users").status_code == 403
    assert viewer.get("/services/shop-0/versions/?csv=versions").status_code == 404
    assert admin.get("/history/?since=noon&csv=history").status_code == 422
    (first, *_) = file_of(admin, "/services/shop/versions/?status=success", tables.VERSIONS)
    assert first["version"] == "2.0" and first["status"] == "success" and first["bad"] == "false"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["created"])


def test_file_is_named_and_downloaded(admin):
    fill(0)
    answer = admin.get("/services/shop/instances/?csv=instances", headers={"Accept-Language": "zh-hans"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="shop-instances.csv"'
    assert read(answer)[0]["status"] == "running", "not in the language of the reader"
    named = admin.get("/deployments/?csv=deployments&service=%22%0d%0aX-Y%3A%20z")["Content-Disposition"]
    assert named == 'attachment; filename="X-Y-z-deployments.csv"'.replace("X-Y-z", "X-Y_z")
    assert admin.get("/deployments/?csv=nonsense")["Content-Type"].startswith("text/html")
    part = admin.get("/?csv=services", headers={"HX-Request": "true"})
    assert part["Content-Type"].startswith("text/html"), "an answer that other tabs share is no file"
    assert admin.head("/deployments/?csv=deployments").status_code == 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        (-1, "-1"),
        ("a=1", "a=1"),
        ("", ""),
        (None, ""),
        (True, "true"),
        ([1, "b"], "1, b"),
        ({"a": {"b": None}, "c": [1]}, "a=b=, c=1"),
        ("https://u:p@h/", "https://•••@h/"),
        ("a\u202eb", "aU+202Eb"),
    ],
)
def test_cells(value, shown):
    assert csv_lists.cell(value) == shown


def test_a_page_cannot_make_a_formula(admin):
    factories.service("shop", description='=HYPERLINK("http://evil.invalid","x")')
    assert file_of(admin, "/", tables.FLEET)[0]["description"].startswith("'=HYPERLINK")


def test_each_caller_has_few_downloads(admin, monkeypatch):
    monkeypatch.setattr(turns, "downloads", turns.TurnsPerCaller(1))
    open_one = admin.get("/deployments/?csv=deployments")
    refused = admin.get("/deployments/?csv=deployments")
    assert refused.status_code == 429 and "1 downloads in progress" in markup(refused)
    read(open_one)  # to its end, which closes it
    assert admin.get("/deployments/?csv=deployments").status_code == 200


def test_counts_up_to_a_limit(admin, monkeypatch):
    monkeypatch.setattr(paging, "MAX_COUNTED", 60)
    for number in range(60):
        factories.service(f"service-{number:03}")
    assert "60 entries" in markup(admin.get("/"))
    factories.service("one-more")
    assert "60+ entries" in markup(admin.get("/"))
    assert "1 entry" in markup(admin.get("/?q=more"))
    assert "60+ entries" in markup(admin.get("/?rows=61")), "as the page's script fetches it"


def test_a_row_of_a_file_is_as_the_page_has_it(admin):
    fill(0)
    MicroServiceVersion.objects.filter(version="1.0").update(bad=True, bad_reason="it leaks")
    Build.objects.update(commit="abc")
    row = next(row for row in file_of(admin, "/services/shop/versions/", tables.VERSIONS) if row["version"] == "1.0")
    assert (row["bad"], row["bad_reason"], row["instances"]) == ("true", "it leaks", "2")
    (deployment,) = file_of(admin, "/deployments/?status=succeeded", tables.DEPLOYMENTS)
    assert deployment["note"] == "why" and deployment["counts"] == "succeeded=1" and deployment["from_version"] == "1.0"
    (change,) = file_of(admin, "/history/moves/", tables.VERSION_CHANGES)
    assert change["versions"] == "1.0 -> 2.0" and change["hosts"].startswith("host")
