"""Freezes in the console: their list and form, and the calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from asset.models import Environment
from microservice.models import DeploymentRequest, Freeze
from microservice.status import DeploymentStatus
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db
PAGE = "/freezes/"
# 2126-11-29 is a Friday.
WEEKEND = {
    "name": "weekend",
    "reason": "No one is here & about",
    "time_zone": "Europe/Berlin",
    "start": "2126-11-29T16:00",
    "end": "2126-12-02T08:00",
    "repeats": "WEEKLY",
    "allow_reverts": "on",
}


@pytest.fixture
def production(db):
    return Environment.objects.create(name="production", colour="red")


@pytest.fixture
def sent(production):
    return {**WEEKEND, "environments": [production.pk]}


def test_a_freeze_is_added_changed_and_deleted(admin, sent):
    assert "No freezes yet" in markup(admin.get(PAGE))
    made = markup(admin.post(f"{PAGE}new/", sent, follow=True))
    row = Freeze.objects.get()
    assert "weekend was added." in made and "2126-11-29 15:00:00 UTC" in made and "2126-12-13 15:00:00 UTC" in made
    assert (row.recurrence, row.time_zone, row.allow_reverts) == ("FREQ=WEEKLY", "Europe/Berlin", True)
    listed = markup(admin.get(PAGE))
    assert "Every week" in listed and "production" in listed and "No one is here &amp; about" in listed
    own = f"{PAGE}{row.pk}/"
    saved = admin.post(own, {**sent, "days": ["SA", "SU"], "last_day": "2127-03-01"}, follow=True)
    assert "weekend was saved." in markup(saved)
    row.refresh_from_db()
    assert row.recurrence == "FREQ=WEEKLY;BYDAY=SA,SU;UNTIL=21270301"
    assert "weekend was deleted." in markup(admin.post(f"{own}delete/", follow=True))
    assert not Freeze.objects.exists()


@pytest.mark.parametrize(
    "recurrence", ["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR;UNTIL=21900101", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=YEARLY"]
)
def test_a_form_posted_as_shown_changes_nothing(admin, production, recurrence):
    """Also where its start is the second of two moments with the same clock time."""
    start = datetime(2126, 11, 3, 6, 30, 5, tzinfo=UTC)  # 01:30 in New York, for the second time
    row = Freeze.objects.create(
        name="x",
        reason="y",
        start=start,
        end=start + timedelta(hours=2),
        recurrence=recurrence,
        time_zone="America/New_York",
    )
    row.environments.add(production)
    form = admin.get(f"{PAGE}{row.pk}/").context["form"]
    shown = {name: value for name in form.fields if (value := form[name].value()) not in (None, False, "")}
    shown["environments"] = [production.pk]
    before = Freeze.objects.values().get()
    assert admin.post(f"{PAGE}{row.pk}/", shown).status_code == 302
    assert Freeze.objects.values().get() == before


def test_when_it_would_hold_is_shown_before_it_is_saved(admin, sent):
    page = markup(admin.post(f"{PAGE}new/", {**sent, "preview": "1"}))
    assert page.count(" 15:00:00 UTC") == 3 and "2126-12-06 15:00:00 UTC" in page
    assert not Freeze.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"reason": ""}, "reason"),
        ({"environments": []}, "environments"),
        ({"everywhere": "on"}, "environments"),
        ({"environments": ["9999"]}, "environments"),
        ({"start": "tomorrow"}, "start"),
        ({"end": "2126-11-28T08:00"}, "end"),
        ({"end": ""}, "end"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"repeats": "HOURLY"}, "repeats"),
        ({"days": ["XX"]}, "days"),
        ({"last_day": "soon"}, "last_day"),
        ({"last_day": "2100-01-01"}, "recurrence"),
        ({"repeats": "rule"}, "recurrence"),
        ({"repeats": "rule", "recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY"}, "recurrence"),
        ({"repeats": "DAILY"}, "end"),
    ],
)
@pytest.mark.parametrize("preview", [{}, {"preview": "1"}])
def test_a_wrong_value_is_said_at_its_field(admin, sent, wrong, field, preview):
    answer = admin.post(f"{PAGE}new/", {**sent, **wrong, **preview})
    assert answer.status_code == 422 and list(answer.context["form"].errors) == [field]
    assert not Freeze.objects.exists() and f'id="id_{field}-wrong"' in markup(answer)


def test_only_administrators_change_them(viewer, production):
    Freeze.objects.create(
        name="x", reason="y", start=timezone.now(), end=timezone.now() + timedelta(1), everywhere=True
    )
    page = markup(viewer.get(PAGE))
    assert "all environments" in page and "frozen" in page and "Add a freeze" not in page
    assert viewer.get(f"{PAGE}new/").status_code == 403
    assert viewer.post(f"{PAGE}{Freeze.objects.get().pk}/delete/").status_code == 403


def test_the_list_costs_the_same_for_many(admin, production, django_assert_max_num_queries):
    now = timezone.now()
    for number in range(30):
        row = Freeze.objects.create(
            name=f"f{number}", reason="y", start=now, end=now + timedelta(1), recurrence="FREQ=MONTHLY"
        )
        row.environments.add(production)
    for address in (PAGE, "/calendar/"):
        admin.get(address)
        with django_assert_max_num_queries(9):
            assert "f29" in markup(admin.get(address))


def test_the_calendar_shows_each_day(admin, production):
    start = datetime(2126, 11, 29, 15, tzinfo=UTC)
    row = Freeze.objects.create(
        name="weekend",
        reason="y",
        start=start,
        end=start + timedelta(days=2, hours=16),
        recurrence="FREQ=WEEKLY",
        time_zone="Europe/Berlin",
    )
    row.environments.add(production)
    instances = factories.instances(factories.versions(factories.service())[0], factories.hosts(1))
    deployment = factories.deployment(instances, instances[0].version, DeploymentStatus.WAITING)
    at = datetime(2126, 11, 30, 9, 30, tzinfo=UTC)
    DeploymentRequest.objects.create(deployment=deployment, request={}, start_at=at, expires=at)
    page = markup(admin.get("/calendar/?from=2126-11-28"))
    text = " ".join(page.split())
    places = [
        text.index(one) for one in ("2126-11-29 Fri", "from 15:00", "all day", "09:30", "2126-12-01", "until", "07:00")
    ]
    assert places == sorted(places), text
    assert f"Deployment {deployment.pk} of shop" in text and "2126-11-28 Thu" not in text
    assert "?from=2126-10-28" in text and "?from=2126-12-29" in text
    assert text.count("frozen") == 18  # on four days of each of four weekends, and on two of the last
    lines = b"".join(admin.get("/calendar/?from=2126-11-28&csv=calendar").streaming_content).decode().splitlines()
    assert len(lines) == 20 and lines[1].startswith("2126-11-29,2126-11-29T15:00:00Z,2126-12-02T07:00:00Z,weekend")
    early = markup(admin.get("/calendar/?from=2126-01-01"))
    assert "Nothing on these days" in early
    for hostile in ("x", "9999-12-31", "0001-01-01", "2026-13-01", ""):
        assert admin.get("/calendar/", {"from": hostile}).status_code == 200


def test_the_calendar_hides_services_of_others(viewer, production):
    from access.models import Team

    service = factories.service("theirs", team=Team.objects.create(name="other"))
    instances = factories.instances(factories.versions(service)[0], factories.hosts(1))
    deployment = factories.deployment(instances, instances[0].version, DeploymentStatus.WAITING)
    at = timezone.now() + timedelta(hours=1)
    DeploymentRequest.objects.create(deployment=deployment, request={}, start_at=at, expires=at)
    assert "theirs" not in markup(viewer.get("/calendar/"))
