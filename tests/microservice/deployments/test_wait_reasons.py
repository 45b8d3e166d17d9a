"""What holds up a deployment, from values alone."""

from datetime import UTC, datetime, timedelta

import pytest

from access.models import Team
from asset.models import Environment
from messages.rendering import render
from microservice.deployments.wait_reasons import Asked, Frozen, Kind, expires, needed, next_look, reasons

NOW = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=3)
OPS = Team(pk=3, name="ops")
FREE, TWO = Environment(name="free"), Environment(name="two", approvals=2, approvers=OPS)
STRICT = Environment(name="strict", approvals=1, approve_reverts=True)
PEOPLE = Environment(name="people", tokens_deploy=False)
FREEZE = Frozen("Friday", LATER, spares_reverts=True)
STOP = Frozen("Stop", LATER + timedelta(hours=1), spares_reverts=False)


@pytest.mark.parametrize(
    ("environment", "asked", "need"),
    [
        (None, Asked(), 0),
        (None, Asked(moved=True), 1),
        (FREE, Asked(), 0),
        (FREE, Asked(by_token=True), 0),
        (FREE, Asked(moved=True), 1),
        (TWO, Asked(), 2),
        (TWO, Asked(moved=True), 2),
        (TWO, Asked(goes_back=True), 0),
        (TWO, Asked(repeats=True), 0),
        (TWO, Asked(runs_nothing=True), 0),
        (STRICT, Asked(goes_back=True), 1),
        (STRICT, Asked(repeats=True), 0),
        (PEOPLE, Asked(), 0),
        (PEOPLE, Asked(by_token=True), 1),
        (PEOPLE, Asked(by_token=True, goes_back=True), 0),
    ],
)
def test_how_many_people_are_needed(environment, asked, need):
    assert needed(environment, asked) == need


@pytest.mark.parametrize(
    ("environment", "asked", "frozen", "yes", "kinds"),
    [
        (None, Asked(), [], 0, ""),
        (None, Asked(start_at=LATER), [], 0, "schedule"),
        (None, Asked(start_at=NOW), [], 0, ""),
        (TWO, Asked(), [], 1, "approval"),
        (TWO, Asked(), [], 2, ""),
        (TWO, Asked(), [], 3, ""),
        (TWO, Asked(start_at=LATER), [FREEZE], 0, "approval schedule freeze"),
        (TWO, Asked(start_at=LATER, overridden=True), [FREEZE, STOP], 0, ""),
        (FREE, Asked(), [FREEZE], 0, "freeze"),
        (FREE, Asked(goes_back=True), [FREEZE], 0, ""),
        (FREE, Asked(repeats=True), [FREEZE], 0, ""),
        (FREE, Asked(goes_back=True), [FREEZE, STOP], 0, "freeze"),
        (FREE, Asked(repeats=True), [STOP], 0, "freeze"),
        (FREE, Asked(runs_nothing=True), [STOP], 0, ""),
    ],
)
def test_what_holds_it_up(environment, asked, frozen, yes, kinds):
    assert " ".join(one.kind for one in reasons(environment, asked, frozen, yes, NOW)) == kinds


def test_of_several_freezes_the_last_end_counts_and_all_are_named():
    (found,) = reasons(FREE, Asked(), [FREEZE, STOP], 0, NOW)
    assert (found.kind, found.until, found.names) == (Kind.FREEZE, STOP.until, ("Friday", "Stop"))
    (found,) = reasons(FREE, Asked(goes_back=True), [FREEZE, STOP], 0, NOW)
    assert found.names == ("Stop",)


def test_each_reason_is_a_sentence():
    approval, schedule, freeze = reasons(TWO, Asked(start_at=LATER), [FREEZE], 1, NOW)
    assert render(approval.message) == "It waits for approval by ops: 1 of 2 so far."
    assert render(schedule.message) == "It begins at 2026-11-28 01:00 UTC."
    assert render(freeze.message) == "It waits for the end of a freeze, 2026-11-28 01:00 UTC: Friday."
    (anyone,) = reasons(STRICT, Asked(), [], 0, NOW)
    assert anyone.as_json()["text"] == "It waits for approval: 0 of 1 so far."


def test_it_ends_so_long_after_it_was_asked_or_could_have_begun():
    hours = timedelta(hours=24)
    assert expires(TWO, NOW, reasons(TWO, Asked(), [], 0, NOW)) == NOW + hours
    found = reasons(TWO, Asked(start_at=LATER), [STOP], 0, NOW)
    assert expires(TWO, NOW, found) == LATER + hours, "people can approve it in a freeze"
    found = reasons(FREE, Asked(start_at=LATER), [STOP], 0, NOW)
    assert expires(FREE, NOW, found) == STOP.until + hours
    assert expires(Environment(wait_hours=1), NOW, found) == STOP.until + timedelta(hours=1)
    assert expires(None, NOW, ()) == NOW + hours
    assert next_look(found, STOP.until + hours) == LATER, "at the first time that passes"
    assert next_look((), LATER) == LATER
