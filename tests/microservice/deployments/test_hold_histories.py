"""Waiting on random histories: rows that live in memory, and only the decisions.

What counts as a yes, and whether it may begin, is said here once more, in other words than the code's.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from access.models import Team
from access.permissions import Rights
from access.roles import RIGHTS, Role
from asset.models import Environment
from microservice.deployments.holds.facts import asked_before, may_say_yes
from microservice.deployments.wait_reasons import Frozen, Kind, Reason, expires, needed, next_look, reasons
from microservice.models import Deployment, DeploymentRequest, MicroService
from microservice.status import Action

pytestmark = pytest.mark.pure

HISTORIES = int(os.environ.get("WAITING_HISTORIES", "2000"))
EVENTS = 10  # after which nobody does anything any more
NOW, HOUR = datetime(2026, 11, 27, 22, 0, tzinfo=UTC), timedelta(hours=1)
OWN, OPS = 1, 2  # teams: the service's, and one that an environment may ask
AUTHOR, PEOPLE = 1, (1, 2, 3, 4)
EVERYTHING = RIGHTS[Role.OWNER]


@dataclass
class Freeze:
    start: datetime
    end: datetime
    spares_reverts: bool


class History:
    """A deployment that waits, driven by chance. Its plan is a number: what it would do if it began now."""

    def __init__(self, chance: random.Random):
        self.chance, self.now = chance, NOW
        self.times = [NOW]  # at which it was asked for, or from which on it could begin
        self.environment = Environment(
            pk=1,
            approvals=chance.choice([0, 1, 1, 2, 3]),
            approvers=Team(pk=OPS, name="ops") if chance.random() < 0.3 else None,
            approve_reverts=chance.random() < 0.3,
            tokens_deploy=chance.random() < 0.7,
            wait_hours=chance.choice([1, 24, 720]),
        )
        deployment = Deployment(
            pk=1,
            created=NOW,
            environment=self.environment if chance.random() < 0.9 else None,
            microservice=MicroService(pk=1, team_id=OWN),
            action=chance.choice([Action.DEPLOY, Action.DEPLOY, Action.DEPLOY, Action.REVERT, Action.RETRY]),
        )
        self.row = DeploymentRequest(
            pk=1,
            deployment=deployment,
            user_id=AUTHOR,
            by_token=chance.random() < 0.3,
            goes_back=deployment.action == Action.REVERT,
            repeats=deployment.action == Action.RETRY,
            start_at=self.some_time() if chance.random() < 0.3 else None,
        )
        self.deploys = {one: chance.random() < 0.8 for one in PEOPLE}
        self.in_ops = {one: chance.random() < 0.7 for one in PEOPLE}
        self.freezes: list[Freeze] = []
        for _ in range(chance.choice([0, 0, 1, 3])):
            self.freeze()
        self.said: set[tuple[int, int]] = set()  # (round, user)
        self.overridden: set[int] = set()  # rounds
        self.plan = self.shown = 0
        self.locked_until = NOW
        self.end = ""
        self.row.expires = expires(deployment.environment, NOW, self.reasons())
        self.look()

    def some_time(self) -> datetime:
        self.times.append(self.now + timedelta(minutes=self.chance.randint(1, 3000)))
        return self.times[-1]

    # ---- what the code decides ----

    def reasons(self, at: datetime | None = None) -> tuple[Reason, ...]:
        now, frozen = at or self.now, []
        if self.row.deployment.environment:
            holding = [one for one in self.freezes if one.start <= now < one.end]
            frozen = [Frozen("freeze", one.end, one.spares_reverts) for one in holding]
        yes = sum(
            may_say_yes(self.row, one, self.rights(one), {OPS} if self.in_ops[one] else set())
            for number, one in self.said
            if number == self.row.round
        )
        asked = asked_before(self.row, self.row.round in self.overridden)
        return reasons(self.row.deployment.environment, asked, frozen, yes, now)

    def rights(self, one: int) -> Rights:
        return Rights({OWN: Role.DEPLOYER if self.deploys[one] else Role.VIEWER}, EVERYTHING, any_team=True)

    def look(self) -> None:
        """As look.py does: wait on, end, go to the next round, or begin."""
        found = self.reasons()
        if found:
            expiry = max(self.row.expires, expires(self.row.deployment.environment, NOW, found))
            self.row.expires = expiry
            self.row.look_at = next_look(found, expiry)
            self.end = "expired" if self.now >= expiry else ""
        elif self.locked_until > self.now:
            self.row.look_at = self.now + timedelta(seconds=15)
            self.end = "expired" if self.now >= self.row.expires else ""
        elif self.plan != self.shown:
            self.row.round, self.shown = self.row.round + 1, self.plan
            self.look()
        else:
            self.end = "begun"
            self.begun()

    # ---- the same in other words ----

    def begun(self) -> None:
        """Look at what has just begun: it had everything that was asked for."""
        row, environment = self.row, self.row.deployment.environment
        if row.round in self.overridden:
            return
        assert row.start_at is None or row.start_at <= self.now, "it began before its time"
        spared = row.deployment.action in (Action.REVERT, Action.RETRY)
        if environment:
            held = [one for one in self.freezes if one.start <= self.now < one.end]
            assert all(spared and one.spares_reverts for one in held), "it began in a freeze"
        people = {one for number, one in self.said if number == row.round and self.counts(one)}
        assert len(people) >= self.asked_for(moved=row.round > 1), f"it began with {people}"

    def asked_for(self, moved: bool) -> int:
        environment, row = self.row.deployment.environment, self.row
        need = 0
        goes_back = row.deployment.action == Action.REVERT
        if environment and row.deployment.action != Action.RETRY and (environment.approve_reverts or not goes_back):
            need = environment.approvals or int(row.by_token and not environment.tokens_deploy)
        return need or int(moved)

    def counts(self, one: int) -> bool:
        environment = self.row.deployment.environment
        if one == AUTHOR and self.asked_for(moved=False):
            return False
        return self.in_ops[one] if environment and environment.approvers else self.deploys[one]

    # ---- what happens ----

    def event(self) -> None:
        self.pass_time(self.now + timedelta(minutes=self.chance.choice([0, 0, 5, 100, 2000])))
        kinds = [self.say_yes] * 6 + [self.move, self.change_right, self.change_environment, self.freeze, self.lift]
        kinds += [self.reschedule, self.lock]
        if self.chance.random() < 0.2:
            kinds.append(self.override)
        if not self.end:
            self.chance.choice(kinds)()
            self.look()  # each of these leads to a look

    def say_yes(self) -> None:
        if self.plan != self.shown:  # what is shown to who says yes is what would run
            self.row.round, self.shown = self.row.round + 1, self.plan
        self.said.add((self.row.round, self.chance.choice(PEOPLE)))

    def override(self) -> None:
        if self.plan == self.shown:
            self.overridden.add(self.row.round)

    def move(self) -> None:
        self.plan += 1

    def change_right(self) -> None:
        changed = self.chance.choice([self.deploys, self.in_ops])
        changed[self.chance.choice(PEOPLE)] ^= True

    def change_environment(self) -> None:
        self.environment.approvals = self.chance.randint(0, 3)

    def freeze(self) -> None:
        start = self.now + timedelta(minutes=self.chance.choice([0, 200]))
        self.times.append(start + timedelta(minutes=self.chance.randint(1, 4000)))
        self.freezes.append(Freeze(start, self.times[-1], self.luck()))

    def lift(self) -> None:
        if self.freezes:
            self.freezes.pop()

    def reschedule(self) -> None:
        self.row.start_at = self.some_time() if self.luck() else None
        self.row.expires = NOW

    def lock(self) -> None:
        self.locked_until = self.now + timedelta(minutes=self.chance.randint(1, 5))

    def luck(self) -> bool:
        return self.chance.random() < 0.5

    def pass_time(self, until: datetime) -> None:
        """Let time pass, with a look whenever it is due; in between nothing would have come of one."""
        for _ in range(200):
            due = self.row.look_at
            if self.end or due > until:
                break
            if self.reasons():
                between = self.now + (due - self.now) * self.chance.random()
                if self.now <= between < due:
                    assert self.reasons(between), "it could have begun before it is looked at"
            self.now = max(self.now, due)
            self.look()
        self.now = max(self.now, until)

    def last(self) -> None:
        """Nobody does anything any more: it ends all the same."""
        self.locked_until = self.now
        for _ in range(20):
            if self.end:
                hours = self.environment.wait_hours if self.row.deployment.environment else 24
                assert self.now <= max([*self.times, self.locked_until]) + hours * HOUR, "it waited too long"
                return
            self.pass_time(self.row.look_at)
        raise AssertionError(f"it waits for ever: {self.reasons()}, until {self.row.expires}")


@pytest.mark.timeout(1800)
def test_random_histories_end():
    ends, rounds, kinds = Counter(), Counter(), Counter()
    for seed in range(HISTORIES):
        history = History(random.Random(seed))
        kinds.update(reason.kind for reason in history.reasons() if not history.end)
        for _ in range(EVENTS):
            if history.end:
                break
            history.event()
        history.last()
        ends[history.end] += 1
        rounds[history.row.round] += 1
    assert set(ends) == {"begun", "expired"} and min(ends.values()) > HISTORIES / 20, ends
    assert set(kinds) == set(Kind) and len(rounds) > 2, (kinds, rounds)


def test_what_is_needed_in_other_words():
    for seed in range(HISTORIES // 10):
        history = History(random.Random(seed))
        row = history.row
        assert needed(row.deployment.environment, asked_before(row)) == history.asked_for(moved=row.round > 1)
