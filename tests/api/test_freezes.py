"""Freezes: made, changed, deleted; and every kind of bad input."""

from datetime import UTC, datetime

import pytest

from asset.models import Environment
from audit.models import Event, History
from microservice.models import Freeze

pytestmark = pytest.mark.django_db
FREEZES = "/freezes/"
FRIDAY = {"start": "2126-11-29T16:00", "end": "2126-12-02T08:00", "time_zone": "Europe/Berlin"}
WEEKEND = {
    "name": "weekend",
    "reason": "No one is here.",
    "environments": ["production"],
    **FRIDAY,
    "recurrence": "FREQ=WEEKLY;BYDAY=FR",
}
# 2126-11-29 is a Friday.


@pytest.fixture
def admin(api):
    return api()


@pytest.fixture
def places(db):
    return {
        name: Environment.objects.create(name=name, position=place).pk
        for place, name in enumerate(("staging", "production"))
    }


def test_created_changed_and_deleted(admin, places, django_assert_max_num_queries):
    made = admin.post(FREEZES, WEEKEND)
    body = made.json()
    assert made.status_code == 201 and made["Location"] == f"/api/v1/freezes/{body['id']}"
    assert {**body, "environments": ["production"], "everywhere": False, "allow_reverts": True} == body
    assert (body["start"], body["end"]) == ("2126-11-29T16:00:00+01:00", "2126-12-02T08:00:00+01:00")
    assert body["until"] is None
    assert [one["start"] for one in body["next"]] == [
        "2126-11-29T15:00:00Z",
        "2126-12-06T15:00:00Z",
        "2126-12-13T15:00:00Z",
    ]
    where = f"{FREEZES}{body['id']}"
    assert admin.get(FREEZES).json()["data"] == [admin.get(where).json()] == [body]
    more = {"name": "weekends", "environments": ["production", places["staging"]], "allow_reverts": False}
    changed = admin.patch(where, more).json()
    assert (changed["name"], changed["allow_reverts"]) == ("weekends", False)
    assert changed["environments"] == ["staging", "production"]  # in their order
    assert admin.patch(where, {"everywhere": True}).json()["environments"] == []
    assert admin.delete(where).status_code == 204 and not Freeze.objects.exists()
    rows = History.objects.filter(subject="freeze").order_by("pk")
    assert [row.action for row in rows] == ["create", "change", "change", "delete"]
    assert rows[2].after == {"everywhere": True, "environments": []}


def test_pages_hear_of_a_change(admin, places, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        number = admin.post(FREEZES, WEEKEND).json()["id"]
    event = Event.objects.get(kind="freeze")
    assert event.data == {"action": "create", "id": number, "service_id": 0}


def test_what_is_shown_can_be_sent_back(admin, places):
    made = admin.post(FREEZES, WEEKEND).json()
    where = f"{FREEZES}{made['id']}"
    own = ("id", "until", "next", "created", "created_by", "updated", "updated_by")
    assert admin.patch(where, {name: one for name, one in made.items() if name not in own}).json() == made
    assert History.objects.filter(subject="freeze").count() == 1, "nothing changed"


def test_a_change_of_the_zone_keeps_the_clock_times(admin, places):
    where = f"{FREEZES}{admin.post(FREEZES, WEEKEND).json()['id']}"
    changed = admin.patch(where, {"time_zone": "America/New_York"}).json()
    assert changed["start"] == "2126-11-29T16:00:00-05:00"
    once = admin.patch(where, {"recurrence": "", "start": "2126-11-01T10:00Z", "time_zone": "UTC"}).json()
    assert (once["start"], once["end"], once["recurrence"]) == ("2126-11-01T10:00:00Z", "2126-12-02T08:00:00Z", "")


def test_a_time_with_an_offset_is_that_moment(admin, places):
    body = {**WEEKEND, "start": "2126-11-29T16:00:00+09:00", "end": "2126-12-02T08:00Z"}
    made = admin.post(FREEZES, body).json()
    assert (made["start"], made["end"]) == ("2126-11-29T08:00:00+01:00", "2126-12-02T09:00:00+01:00")


def test_listed_by_environment_and_by_what_holds_now(admin, places, django_assert_max_num_queries):
    past, far = datetime(2020, 1, 1, tzinfo=UTC), datetime(2190, 1, 1, tzinfo=UTC)
    admin.post(FREEZES, WEEKEND)
    admin.post(FREEZES, {**WEEKEND, "name": "now", "start": past.isoformat(), "end": far.isoformat(), "recurrence": ""})
    admin.post(FREEZES, {**WEEKEND, "name": "all", "environments": [], "everywhere": True})

    def names(query=""):
        return [row["name"] for row in admin.get(FREEZES + query).json()["data"]]

    assert names() == ["all", "now", "weekend"]
    assert names("?environment=staging") == ["all"]
    assert names("?environment=production&in_force=true") == names("?in_force=true") == ["now"]
    assert names("?in_force=false") == ["all", "weekend"]
    assert admin.get(f"{FREEZES}?environment=moon").status_code == 422
    assert admin.get(FREEZES).json()["data"][1]["until"] == "2190-01-01T00:00:00Z"
    with django_assert_max_num_queries(6):
        names()


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"name": ""}, "/name", "text_length"),
        ({"name": " x"}, "/name", "surrounding_blanks"),
        ({"name": "x" * 65}, "/name", "text_length"),
        ({"name": "x\0"}, "/name", None),
        ({"name": 5}, "/name", None),
        ({"reason": ""}, "/reason", "text_length"),
        ({"reason": "x" * 501}, "/reason", "text_length"),
        ({"reason": "a\nb"}, "/reason", "control_characters"),
        ({"environments": []}, "/environments", "freeze_nowhere"),
        ({"environments": ["production"], "everywhere": True}, "/environments", "freeze_everywhere"),
        ({"environments": ["moon"]}, "/environments/0", "no_such_environment"),
        ({"environments": ["production", ""]}, "/environments/1", "no_such_environment"),
        ({"environments": [10**30]}, "/environments/0", "no_such_environment"),
        ({"environments": ["a\0b"]}, "/environments/0", None),
        ({"environments": ["x"] * 101}, "/environments", "not_environments"),
        ({"environments": "production"}, "/environments", None),
        ({"environments": [True]}, "/environments/0", None),
        ({"everywhere": "yes"}, "/everywhere", None),
        ({"allow_reverts": None}, "/allow_reverts", None),
        ({"start": ""}, "/start", "clock_time_syntax"),
        ({"start": "tomorrow"}, "/start", "clock_time_syntax"),
        ({"start": "2126-11-29"}, "/start", "clock_time_syntax"),
        ({"start": "2126-02-30T16:00"}, "/start", "clock_time_syntax"),
        ({"start": "2126-11-29T25:00"}, "/start", "clock_time_syntax"),
        ({"start": "2126-11-29T16:00+99:00"}, "/start", "clock_time_syntax"),
        ({"start": "0001-01-01T00:00+14:00"}, "/start", "year_range"),
        ({"end": "9999-12-31T23:59-12:00"}, "/end", "year_range"),
        ({"start": 5}, "/start", None),
        ({"end": "2126-11-29T16:00"}, "/end", "freeze_ends_before_start"),
        ({"end": "2126-11-29T15:00"}, "/end", "freeze_ends_before_start"),
        ({"end": "2128-11-30T16:00"}, "/end", "freeze_too_long"),
        ({"start": "2019-11-29T16:00", "end": "2019-12-02T08:00", "recurrence": ""}, "/end", "freeze_over"),
        (
            {"start": "2019-11-29T16:00", "end": "2019-12-02T08:00", "recurrence": "FREQ=WEEKLY;COUNT=3"},
            "/recurrence",
            "freeze_over",
        ),
        ({"recurrence": "FREQ=DAILY"}, "/end", "freeze_never_ends"),
        ({"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "/recurrence", "recurrence_never"),
        ({"recurrence": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "/recurrence", "recurrence_never"),
        ({"recurrence": "FREQ=WEEKLY;UNTIL=20261231"}, "/recurrence", "recurrence_never"),
        ({"recurrence": "every friday"}, "/recurrence", "recurrence_syntax"),
        ({"recurrence": "FREQ=SECONDLY"}, "/recurrence", "recurrence_frequency"),
        ({"recurrence": "FREQ=WEEKLY;" * 30}, "/recurrence", "text_length"),
        ({"recurrence": None}, "/recurrence", None),
        ({"time_zone": ""}, "/time_zone", "unknown_zone"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "unknown_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone", "unknown_zone"),
        ({"time_zone": "Europe"}, "/time_zone", "unknown_zone"),
        ({"time_zone": "x" * 100}, "/time_zone", "text_length"),
        ({"duration": 5}, "/duration", None),
    ],
)
def test_wrong_values_name_their_field(admin, places, body, pointer, code):
    answer = admin.post(FREEZES, {**WEEKEND, **body})
    assert answer.status_code == 422, answer.json()
    error = answer.json()["errors"][0]
    assert error["pointer"] == pointer and code in (None, error["code"]), error
    assert error["reason"] and not Freeze.objects.exists()


@pytest.mark.parametrize("name", ["name", "reason", "start", "end"])
def test_what_is_required(admin, places, name):
    answer = admin.post(FREEZES, {one: value for one, value in WEEKEND.items() if one != name})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


def test_a_refused_change_changes_nothing(admin, places):
    made = admin.post(FREEZES, WEEKEND).json()
    where = f"{FREEZES}{made['id']}"
    for body in ({"end": "2126-11-01T00:00"}, {"environments": []}, {"name": "x", "time_zone": "Mars/Olympus"}):
        assert admin.patch(where, body).status_code == 422
    assert admin.get(where).json() == made


def test_one_that_is_over_can_still_be_named_and_deleted(admin, places):
    old = Freeze.objects.create(
        name="old",
        reason="x",
        everywhere=True,
        start=datetime(2020, 1, 1, tzinfo=UTC),
        end=datetime(2020, 1, 2, tzinfo=UTC),
    )
    where = f"{FREEZES}{old.pk}"
    assert admin.patch(where, {"reason": "the move"}).json()["next"] == []
    assert admin.patch(where, {"end": "2020-01-03T00:00"}).status_code == 422
    assert admin.delete(where).status_code == 204


def test_name_is_taken_once_and_only_administrators_change(api, admin, places, monkeypatch):
    for status in (201, 409):
        answer = admin.post(FREEZES, WEEKEND)
        assert answer.status_code == status
    assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == ("already_exists", "/name")
    bob = api("read", "deploy", name="bob")
    assert bob.post(FREEZES, {**WEEKEND, "name": "x"}).status_code == 403
    assert bob.delete(f"{FREEZES}{Freeze.objects.get().pk}").status_code == 403
    assert [row["name"] for row in bob.get(FREEZES).json()["data"]] == ["weekend"]
    monkeypatch.setattr("microservice.deployments.freeze_changes.MAX_FREEZES", 1)
    answer = admin.post(FREEZES, {**WEEKEND, "name": "another"})
    assert (answer.status_code, answer.json()["code"], Freeze.objects.count()) == (409, "too_many_freezes", 1)


def test_an_environment_leaves_its_freezes_when_it_is_deleted(admin, places):
    admin.post(FREEZES, {**WEEKEND, "environments": ["staging", "production"]})
    assert admin.delete(f"/environments/{places['staging']}").status_code == 204
    assert admin.get(FREEZES).json()["data"][0]["environments"] == ["production"]
