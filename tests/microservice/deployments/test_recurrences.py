"""Rules of RFC 5545 in the clock times of a zone, also where clocks change. Pure."""

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from messages.invalid import InvalidValue
from microservice.deployments.recurrences import MAX_CHAIN, Times, never_ends, parse, spans, until

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    """A clock time of the zone, or with an offset."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def times(start: str, end: str, rule: str = "", zone: ZoneInfo = BERLIN) -> Times:
    return Times(at(start, zone), at(end, zone), zone, parse(rule) if rule else None)


def shown(freeze: Times, since: str, count: int = 3) -> list[str]:
    """The next ones, in the clock times of its zone with their offsets."""
    found = islice(spans(freeze, at(since, freeze.zone)), count)
    return [
        " – ".join(one.astimezone(freeze.zone).isoformat(timespec="minutes") for one in (span.start, span.end))
        for span in found
    ]


WEEKEND = times("2026-11-27T16:00", "2026-11-30T08:00", "FREQ=WEEKLY;BYDAY=FR")


def test_a_weekend_begins_and_ends_at_its_clock_times_across_both_changes_of_the_clock():
    assert shown(WEEKEND, "2027-03-20T00:00") == [
        "2027-03-19T16:00+01:00 – 2027-03-22T08:00+01:00",  # the one that is under way
        "2027-03-26T16:00+01:00 – 2027-03-29T08:00+02:00",
        "2027-04-02T16:00+02:00 – 2027-04-05T08:00+02:00",
    ]
    assert shown(WEEKEND, "2027-10-26T00:00", 2) == [
        "2027-10-29T16:00+02:00 – 2027-11-01T08:00+01:00",
        "2027-11-05T16:00+01:00 – 2027-11-08T08:00+01:00",
    ]
    here = times("2026-11-27T16:00", "2026-11-30T08:00", "FREQ=WEEKLY;BYDAY=FR", NEW_YORK)
    assert shown(here, "2027-03-12T00:00", 1) == ["2027-03-12T16:00-05:00 – 2027-03-15T08:00-04:00"]
    assert shown(here, "2027-11-05T00:00", 1) == ["2027-11-05T16:00-04:00 – 2027-11-08T08:00-05:00"]


@pytest.mark.parametrize(
    ("zone", "start", "end", "day", "expected"),
    [
        # Clocks go forward: 02:30 does not exist, and is read with the offset before the change.
        (BERLIN, "02:30", "05:00", "2027-03-28", "2027-03-28T03:30+02:00 – 2027-03-28T05:00+02:00"),
        (NEW_YORK, "02:30", "05:00", "2027-03-14", "2027-03-14T03:30-04:00 – 2027-03-14T05:00-04:00"),
        (BERLIN, "01:00", "02:30", "2027-03-28", "2027-03-28T01:00+01:00 – 2027-03-28T03:30+02:00"),
        # Its start would come after its end: it is as long as on other days.
        (BERLIN, "02:45", "03:15", "2027-03-28", "2027-03-28T01:45+01:00 – 2027-03-28T03:15+02:00"),
        (LORD_HOWE, "02:15", "02:20", "2027-10-03", "2027-10-03T02:45+11:00 – 2027-10-03T02:50+11:00"),
        # Clocks go back: it begins at the first 02:30, and ends at the second.
        (BERLIN, "02:30", "05:00", "2027-10-31", "2027-10-31T02:30+02:00 – 2027-10-31T05:00+01:00"),
        (NEW_YORK, "01:30", "01:45", "2027-11-07", "2027-11-07T01:30-04:00 – 2027-11-07T01:45-05:00"),
        (NEW_YORK, "00:30", "01:30", "2027-11-07", "2027-11-07T00:30-04:00 – 2027-11-07T01:30-05:00"),
    ],
)
def test_clock_times_that_do_not_exist_or_are_there_twice(zone, start, end, day, expected):
    daily = times(f"2026-12-01T{start}", f"2026-12-01T{end}", "FREQ=DAILY", zone)
    assert shown(daily, f"{day}T00:15", 1) == [expected]


def test_until_when_it_holds():
    friday = at("2027-03-26T16:00")
    assert until(WEEKEND, friday - timedelta(seconds=1)) is None
    assert until(WEEKEND, friday) == at("2027-03-29T08:00")
    assert until(WEEKEND, at("2027-03-29T08:00") - timedelta(seconds=1)) == at("2027-03-29T08:00")
    assert until(WEEKEND, at("2027-03-29T08:00")) is None
    once = times("2026-12-24T12:00", "2027-01-02T00:00")
    assert until(once, at("2026-12-24T11:59")) is None
    assert until(once, at("2026-12-24T12:00")) == until(once, at("2027-01-01T23:59")) == at("2027-01-02T00:00")
    assert until(once, at("2027-01-02T00:00")) is None


def test_occurrences_that_follow_each_other_are_one():
    """Two whole days, and a rule whose occurrences overlap."""
    days = times("2026-11-28T00:00", "2026-11-29T00:00", "FREQ=WEEKLY;BYDAY=SA,SU")
    assert until(days, at("2026-12-05T12:00")) == at("2026-12-07T00:00")
    overlapping = times("2026-11-27T16:00", "2026-11-30T08:00", "FREQ=WEEKLY;BYDAY=FR,SA")
    assert until(overlapping, at("2026-12-04T17:00")) == at("2026-12-08T08:00")
    assert not never_ends(overlapping, at("2026-12-04T17:00"))


def test_what_never_ends_is_known_quickly():
    always = times("2026-11-28T00:00", "2026-11-29T00:00", "FREQ=DAILY")
    assert never_ends(always, at("2026-11-28T00:00"))
    assert until(always, at("2026-11-28T10:00")) == at("2026-11-28T00:00") + timedelta(days=MAX_CHAIN)
    counted = times("2026-11-28T00:00", "2026-11-29T00:00", "FREQ=DAILY;COUNT=100")
    assert not never_ends(counted, at("2026-11-28T00:00"))
    assert until(counted, at("2026-11-28T10:00")) == at("2026-11-28T00:00") + timedelta(days=100)


@pytest.mark.parametrize(
    ("rule", "starts"),
    [
        ("FREQ=DAILY;COUNT=2", ["2026-11-27", "2026-11-28"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20261217", ["2026-11-27", "2026-12-07", "2026-12-17"]),
        ("FREQ=DAILY;UNTIL=20261128T160000", ["2026-11-27", "2026-11-28"]),
        ("FREQ=DAILY;UNTIL=20261128T155959", ["2026-11-27"]),
        ("FREQ=DAILY;UNTIL=20261128T150000Z", ["2026-11-27", "2026-11-28"]),  # 16:00 in Berlin
        ("FREQ=DAILY;UNTIL=20261128T145959Z", ["2026-11-27"]),
        ("RRULE:freq=monthly;bymonthday=-1;count=3", ["2026-11-30", "2026-12-31", "2027-01-31"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", ["2026-11-27", "2026-12-25", "2027-01-29"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", ["2026-11-30", "2026-12-31"]),
        ("FREQ=YEARLY;COUNT=2", ["2026-11-27", "2027-11-27"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", ["2027-01-04", "2028-01-03", "2029-01-01"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO;COUNT=3", ["2026-11-29", "2026-12-08", "2026-12-13"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=3", ["2026-12-06", "2026-12-08", "2026-12-20"]),
    ],
)
def test_the_days_of_a_rule(rule, starts):
    freeze = times("2026-11-27T16:00", "2026-11-27T18:00", rule)
    assert [one[:10] for one in shown(freeze, "2026-11-01T00:00")] == starts


RULES = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 40)),
    st.builds(
        "FREQ=WEEKLY;INTERVAL={};BYDAY={};WKST={}".format,
        st.integers(1, 5),
        st.lists(st.sampled_from(["MO", "TU", "FR", "SU"]), min_size=1, unique=True).map(",".join),
        st.sampled_from(["MO", "SU", "WE"]),
    ),
    st.builds("FREQ=MONTHLY;INTERVAL={}".format, st.integers(1, 13)),
    st.builds("FREQ=MONTHLY;BYDAY={}FR".format, st.sampled_from(["", "1", "-1", "5"])),
    st.builds("FREQ=YEARLY;INTERVAL={};BYDAY=20MO".format, st.integers(1, 3)),
    st.builds("FREQ=YEARLY;INTERVAL={}".format, st.integers(1, 4)),
)


@settings(max_examples=150, deadline=None)
@given(RULES, st.integers(0, 366 * 4), st.integers(0, 366 * 6))
def test_what_is_found_late_is_what_is_found_from_the_start(rule, begins, later):
    """Looking from any day gives what dateutil gives from the start on."""
    first = datetime(2026, 1, 1, 16, tzinfo=UTC) + timedelta(days=begins)
    since = first + timedelta(days=later)
    freeze = Times(first, first + timedelta(hours=3), ZoneInfo("UTC"), parse(rule))
    expected = islice((one for one in rrulestr(rule, dtstart=first) if one >= since), 5)
    assert [span.start for span in islice(spans(freeze, since), 5)] == list(expected)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;INTERVAL=1000;BYMONTH=2;BYDAY=MO;COUNT=1000",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
        "FREQ=DAILY;BYSETPOS=2",
        "FREQ=DAILY;UNTIL=20200101",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=1000",
        "FREQ=YEARLY;BYDAY=53MO,53TU;BYMONTHDAY=15;COUNT=999",
    ],
)
def test_rules_that_never_or_hardly_happen_are_answered_quickly(rule):
    freeze = times("2026-11-27T16:00", "2026-11-27T18:00", rule)
    began = time.process_time()
    found = shown(freeze, "2026-11-01T00:00", 1)
    assert time.process_time() - began < 3  # a third of a second at most; without a bound, ten and more
    assert found == [] or "INTERVAL=1000" in rule


def test_a_rule_that_began_long_ago_costs_no_more():
    """A day is found without going through all days before it."""
    freeze = times("2000-01-01T16:00", "2000-01-01T18:00", "FREQ=DAILY")
    began = time.process_time()
    for _ in range(100):
        assert until(freeze, at("2199-06-01T17:00"))
    assert time.process_time() - began < 2  # 72,000 days each time would take minutes


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("", "recurrence_syntax"),
        ("every friday", "recurrence_syntax"),
        ("FREQ=", "recurrence_syntax"),
        ("FREQ=WEEKLY;", "recurrence_syntax"),
        ("BYDAY=FR", "recurrence_frequency"),
        ("FREQ=HOURLY", "recurrence_frequency"),
        ("FREQ=SECONDLY", "recurrence_frequency"),
        ("FREQ=WEEKLY;BYHOUR=3", "recurrence_part_unknown"),
        ("FREQ=WEEKLY;X-EVIL=1", "recurrence_part_unknown"),
        ("FREQ=YEARLY;BYEASTER=0", "recurrence_part_unknown"),
        ("DTSTART=20260101T000000;FREQ=DAILY", "recurrence_part_unknown"),
        ("FREQ=WEEKLY;FREQ=DAILY", "recurrence_part_twice"),
        ("FREQ=WEEKLY;INTERVAL=0", "recurrence_number"),
        ("FREQ=WEEKLY;INTERVAL=-1", "recurrence_number"),
        ("FREQ=WEEKLY;INTERVAL=1001", "recurrence_number"),
        ("FREQ=WEEKLY;INTERVAL=99999999999999999999", "recurrence_number"),
        ("FREQ=WEEKLY;COUNT=0", "recurrence_number"),
        ("FREQ=WEEKLY;INTERVAL=١", "recurrence_number"),  # a digit, but not of ASCII
        ("FREQ=MONTHLY;BYMONTHDAY=32", "recurrence_number"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "recurrence_number"),
        ("FREQ=YEARLY;BYMONTH=13", "recurrence_number"),
        ("FREQ=YEARLY;BYMONTH=-1", "recurrence_number"),
        ("FREQ=YEARLY;BYSETPOS=0", "recurrence_number"),
        ("FREQ=WEEKLY;BYDAY=XX", "recurrence_days"),
        ("FREQ=WEEKLY;BYDAY=", "recurrence_syntax"),
        ("FREQ=MONTHLY;BYDAY=0MO", "recurrence_days"),
        ("FREQ=WEEKLY;WKST=8", "recurrence_days"),
        ("FREQ=WEEKLY;BYDAY=1MO", "recurrence_part_not_with"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "recurrence_part_not_with"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "recurrence_part_not_with"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "recurrence_two_ends"),
        ("FREQ=DAILY;UNTIL=20271301", "recurrence_until"),
        ("FREQ=DAILY;UNTIL=tomorrow", "recurrence_until"),
        ("FREQ=DAILY;UNTIL=99991231", "recurrence_until"),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "recurrence_until"),
        ("FREQ=WEEKLY;BYDAY=" + ",".join(["FR"] * 90), "recurrence_syntax"),
    ],
)
def test_what_is_no_rule(rule, code):
    with pytest.raises(InvalidValue) as caught:
        parse(rule)
    assert caught.value.reason.code == code
