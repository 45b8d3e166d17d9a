"""Times are moments: across both clock changes, of an hour, of half an hour, and in zones without one."""

import ast
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from access import tokens
from access.callers import Caller
from asset.models import Asset
from audit.history import record
from audit.models import History
from console import moments
from console.durations import age
from console.queries.timeline import WIDTH, Span, timeline
from microservice.models import Deployment, MicroService, MicroServiceVersion, Operation
from microservice.output import expiry
from microservice.status import Action, DeploymentStatus, OperationStatus

from .markup import markup

pytestmark = [pytest.mark.django_db, pytest.mark.found("time")]
ROOT = Path(__file__).resolve().parents[2]

# The zone, and the moment at which its clock is put forward or back. Shanghai's is left alone.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Asia/Shanghai", datetime(2026, 10, 25, 1, tzinfo=UTC)),
]
EACH = pytest.mark.parametrize(("zone", "change"), CHANGES, ids=[f"{zone}-{at:%m}" for zone, at in CHANGES])
STEP = timedelta(minutes=10)
AROUND = [STEP * n for n in range(-12, 13)]


def test_clock_changes_are_real():
    """The table is right: the offset differs before and after each change, except in Shanghai."""
    for zone, at in CHANGES:
        before, after = (one.astimezone(ZoneInfo(zone)).utcoffset() for one in (at - timedelta(seconds=1), at))
        assert (before == after) == (zone == "Asia/Shanghai"), zone


@pytest.fixture
def reader(db, monkeypatch):
    """`reader(zone, now)`: a browser in that zone, at that time."""

    def at(zone: str, now: datetime) -> Client:
        monkeypatch.setattr(timezone, "now", lambda: now)
        user = get_user_model().objects.filter(username="eve").first()
        browser = Client()
        browser.force_login(user or get_user_model().objects.create(username="eve", is_superuser=True))
        browser.cookies["zone"] = zone
        return browser

    return at


def moved(ends: list[datetime]) -> dict[int, datetime]:
    """{deployment: when it moved its host}."""
    service = MicroService.objects.create(name="shop")
    old, new = (MicroServiceVersion.objects.create(microservice=service, version=name) for name in ("1", "2"))
    found = {}
    for number, end in enumerate(ends):
        host = Asset.objects.create(hostname=f"web{number}", ip=f"192.0.2.{number}")
        made = Deployment.objects.create(
            microservice=service,
            action=Action.UPGRADE,
            from_version=old,
            dest_version=new,
            requested_by="ada",
            status=DeploymentStatus.SUCCEEDED,
            created=end - timedelta(minutes=1),
            finished=end,
        )
        Operation.objects.create(
            deployment=made,
            instance_id_snapshot=number,
            host=host,
            action=Action.UPGRADE,
            from_version=old,
            dest_version=new,
            status=OperationStatus.SUCCEEDED,
            finished=end,
        )
        found[made.pk] = end
    return found


def shown(page: str) -> set[int]:
    return {int(one) for one in re.findall(r'class="chip" href="/deployments/(\d+)/"', page)}


def hosts_shown(page: str) -> set[str]:
    return set(re.findall(r"\bweb\d+\b", page))


def fields(page: str) -> dict[str, str]:
    """Return what the form would send again, unchanged."""
    found = {name: value for name in ("since", "until") if (value := _value(page, name))}
    for name in ("since_at", "until_at"):
        select = re.search(rf'<select name="{name}".*?</select>', page, re.DOTALL)
        chosen = re.search(r'value="([^"]+)" selected', select[0]) if select else None
        if select:
            assert chosen, select[0]
            found[name] = chosen[1]
    return found


def _value(page: str, name: str) -> str:
    return re.search(rf'type="datetime-local" name="{name}"(?: value="([^"]*)")?', page)[1] or ""


@EACH
def test_the_last_hour_is_sixty_minutes(reader, zone, change):
    moves = moved([change + step for step in AROUND])
    names = {end: f"web{number}" for number, end in enumerate(moves.values())}
    for after in (0, 15, 55, 85):
        now = change + timedelta(minutes=after, seconds=30)
        browser = reader(zone, now)
        page = markup(browser.get("/history/moves/"))
        until = now.replace(second=0) + timedelta(minutes=1)
        lately = {name for end, name in names.items() if until - timedelta(hours=1) <= end < until}
        assert len(lately) == 6 and hosts_shown(page) == lately, f"{after} minutes after the change"
        links = dict(re.findall(r'class="chip" href="\?([^"]+)">(last \w+)', page)[::-1])
        links = {words: html.unescape(query) for query, words in links.items()}
        assert hosts_shown(markup(browser.get(f"/history/moves/?{links['last hour']}"))) == lately
        day = {name for end, name in names.items() if until - timedelta(days=1) <= end < until}
        assert hosts_shown(markup(browser.get(f"/history/moves/?{links['last day']}"))) == day
        again = markup(browser.get("/history/moves/", fields(page)))
        assert hosts_shown(again) == lately, "the form as it was shown means the same"


@EACH
def test_ambiguous_range_is_widest(reader, zone, change):
    moved([change + step for step in AROUND])
    names = {f"web{number}": change + step for number, step in enumerate(AROUND)}
    browser, local = reader(zone, change + timedelta(hours=4)), ZoneInfo(zone)
    for start, end in ((-9, -3), (-6, 0), (-3, 3), (0, 6), (3, 9), (-12, 12)):
        since, until = change + STEP * start, change + STEP * end
        clock = [one.astimezone(local).replace(tzinfo=None) for one in (since, until)]
        query = "&".join(f"{name}={one:%Y-%m-%dT%H:%M}" for name, one in zip(("since", "until"), clock, strict=True))
        answer = browser.get(f"/history/moves/?{query}")
        if clock[0] >= clock[1] and answer.status_code == 422:
            continue
        found = hosts_shown(markup(answer))
        assert found >= {name for name, at in names.items() if since <= at < until}, query
        assert hosts_shown(markup(browser.get("/history/moves/", fields(markup(answer))))) == found


@EACH
def test_pages_and_api_agree(reader, zone, change):
    service = MicroService.objects.create(name="shop")
    for number, step in enumerate(AROUND):
        row = record(Caller(name="ada"), "change", "service", service, {"keep": 0}, {"keep": number}, service=service)
        History.objects.filter(pk=row.pk).update(created=change + step)
    browser = reader(zone, change + timedelta(hours=4))
    for start, end in ((-6, 0), (-2, 3), (0, 5), (3, 9)):
        since, until = change + STEP * start, change + STEP * end
        wanted = {number for number, step in enumerate(AROUND) if STEP * start <= step < STEP * end}
        with timezone.override(zone):
            exact = {"since": moments.exact(since), "until": moments.exact(until)}
            apart = {
                "since": moments.clock_time(since),
                "since_at": moments.offset_of(since),
                "until": moments.clock_time(until),
                "until_at": moments.offset_of(until),
            }
        for query in (exact, apart):
            page = markup(browser.get("/history/", query))
            assert {int(one) for one in re.findall(r"Keep changed from 0 to (\d+)", page)} == wanted, query
        rows = browser.get(f"/api/v1/history/?since={quote(exact['since'])}&until={quote(exact['until'])}")
        assert rows.status_code == 422, "the API takes RFC 3339, which has seconds"
        typed = {name: f"{text[:16]}:00{text[16:]}" for name, text in exact.items()}
        rows = browser.get("/api/v1/history/", typed).json()["data"]
        assert {row["after"]["keep"] for row in rows} == wanted


@EACH
def test_field_shows_moment(zone, change):
    with timezone.override(zone):
        for minute in range(-180, 181):
            moment = change + timedelta(minutes=minute)
            for edge in ("since", "until"):
                assert moments.parse(moments.exact(moment), edge) == moment
                assert moments.parse(moments.clock_time(moment), edge, moments.offset_of(moment)) == moment
                choices = moments.choices(moment)
                if not choices:
                    assert moments.parse(moments.clock_time(moment), edge) == moment
                else:
                    assert moments.offset_of(moment) in dict(choices) and len(choices) == 2
            if choices := moments.choices(moment):
                first, last = (moments.parse(moments.clock_time(moment), edge) for edge in ("since", "until"))
                assert first < last and moment in (first, last)
                assert [offset for offset, _ in choices] == [moments.offset_of(one) for one in (first, last)]


@EACH
def test_ambiguous_and_missing_times(zone, change):
    before, after = ((change + timedelta(seconds=one)).astimezone(ZoneInfo(zone)).utcoffset() for one in (-1, 1))
    jump = after - before
    with timezone.override(zone):
        wall = timezone.localtime(change).replace(tzinfo=None)
        first = wall if jump < timedelta() else wall - jump
        texts = [f"{first + timedelta(minutes=n):%Y-%m-%dT%H:%M}" for n in range(0, int(abs(jump) / STEP) * 10, 10)]
        for text in texts:
            since, until = (moments.parse(text, edge) for edge in ("since", "until"))
            assert until - since == abs(jump), text
            assert since <= change <= until or jump < timedelta()
        assert bool(texts) == (zone != "Asia/Shanghai")


def test_ambiguous_time_can_be_chosen(reader):
    zone, change = CHANGES[1]
    moved([change + step for step in AROUND])
    browser = reader(zone, change + timedelta(hours=4))
    base = {"since": "2026-10-25T02:30", "until": "2026-10-25T02:40"}
    both = markup(browser.get("/history/moves/", base))
    assert hosts_shown(both) == {f"web{n}" for n in range(9, 16)}, "all that it may mean: 70 minutes"
    assert "CEST (UTC+02:00)" in both and "CET (UTC+01:00)" in both
    for offset, name in (("+02:00", "web9"), ("+01:00", "web15")):
        one = markup(browser.get("/history/moves/", {**base, "since_at": offset, "until_at": offset}))
        assert hosts_shown(one) == {name}
        assert fields(one) == {**base, "since_at": offset, "until_at": offset}
    stale = {"since": "2026-10-25T12:00", "since_at": "+02:00", "until": "2026-10-25T13:00"}
    page = markup(browser.get("/history/moves/", stale))
    assert 'name="since_at"' not in page, "a time that comes once has no choice, and its old one counts no more"


# --- lifetimes --------------------------------------------------------------------------------------------------------


@EACH
def test_retention_and_expiry_use_moments(reader, settings, monkeypatch, zone, change):
    settings.OUTPUT_RETENTION_DAYS = settings.TOKEN_LIFETIME_DAYS = 3
    begin = change - timedelta(hours=30)
    reader(zone, begin)
    moved([begin])
    with timezone.override(zone):
        operation = Operation.objects.get()
        for moment in (expiry.expires(operation), tokens.default_expiry()):
            assert (moment.astimezone(UTC) - begin).total_seconds() == 3 * 86400
        now = timezone.localtime(begin + timedelta(days=2))  # with the same tzinfo Python would subtract clock times
        assert age(now.astimezone(UTC) - operation.finished) == "2 d ago"
        course = Span("x", begin, started=begin + timedelta(hours=24), finished=begin + timedelta(hours=48))
        (line,) = timeline([course], begin, begin + timedelta(hours=48))
        assert [round(one.seconds) for one in line.segments] == [86400, 86400]
        assert line.segments[1].x == WIDTH // 2


LOCAL = {"localtime", "make_aware", "make_naive", "localdate", "fromtimestamp", "utcnow", "today", "combine"}
MAY = {
    "console/moments.py": "turns clock times into moments and back",
    "console/times.py": "shows a moment by the clock",
    "microservice/management/commands/token.py": "reads a time without a zone as UTC",
    "microservice/deployments/recurrences.py": "what recurs, in the clock times of its own zone",
    "worker/step_state.py": "fromtimestamp, in UTC",
    "runtime/logs.py": "fromtimestamp, in UTC",
}
APPS = (
    *("access", "api", "asset", "audit", "builds", "callbacks", "console", "deployctl", "deployer"),
    *("integrations", "messages", "microservice", "runtime", "worker"),
)


def test_only_moments_format_times():
    """Only console/moments.py takes moments apart or adds clock time; the table gives the reason for exceptions."""
    found = set()
    for path in [one for app in APPS for one in (ROOT / app).rglob("*.py") if "migrations" not in one.parts]:
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            hour = name == "replace" and any(one.arg in ("hour", "day", "month") for one in node.keywords)
            naive = name == "now" and not node.args and getattr(node.func.value, "id", "") == "datetime"
            if name in LOCAL or hour or naive:
                found.add(str(path.relative_to(ROOT)))
    assert found == set(MAY)


def test_scripts_format_no_times():
    apart = re.compile(r"\.(?:get|set)(?:Hours|Minutes|Date|Day|Month|FullYear|TimezoneOffset)\(|new Date\(\s*\d+\s*,")
    scripts = [path for path in (ROOT / "static" / "js").glob("*.js") if "min" not in path.suffixes]
    assert scripts and not [path.name for path in scripts if apart.search(path.read_text())]
