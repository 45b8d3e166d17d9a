"""Waiting on random histories of rows: people answer, plans move, freezes come and go, hosts are locked, time passes.

After each event and a sweep a deployment waits exactly as long as something is missing, in the words of this file; it
begins once, with the operations of the plan that was shown last; and whatever was said to another plan does not count.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from access.authentication import acting_as
from access.callers import Caller
from access.models import Membership, Team
from access.problems import Problem
from asset.models import Asset, Environment
from microservice.deployments import actions
from microservice.deployments.holds import facts
from microservice.deployments.timing import Timing
from microservice.deployments.version_change import VersionChange
from microservice.deployments.waiting import answers, look
from microservice.models import Approval, Deployment, DeploymentRequest, Freeze, MicroServiceInstance
from microservice.status import Action, DeploymentStatus
from tests import factories

pytestmark = pytest.mark.django_db

HISTORIES = int(os.environ.get("WAITING_ROW_HISTORIES", "12"))
EVENTS = 10
NOW, MINUTE = datetime(2026, 11, 27, 22, 0, tzinfo=UTC), timedelta(minutes=1)
WAITING, CANCELLED = DeploymentStatus.WAITING, DeploymentStatus.CANCELLED


class Site:
    """Two instances of a service in production; four people who may deploy it, and one administrator."""

    def __init__(self) -> None:
        self.team = Team.objects.create(name="shop-team")
        self.people = [User.objects.create_user(name) for name in ("ann", "ben", "cat", "dan")]
        for user in self.people:
            Membership.objects.create(team=self.team, user=user, role="deployer")
        self.admin = User.objects.create_superuser("root")
        self.service = factories.service(team=self.team)
        self.versions = factories.versions(self.service, 4)
        self.production = Environment.objects.create(name="production")
        self.instances = factories.instances(self.versions[1], factories.hosts(2))
        Asset.objects.update(environment=self.production)
        self.other = Deployment.objects.create(microservice=self.service, action=Action.UPGRADE)


class History:
    """One deployment that waits, by rows, and what this file thinks of it."""

    def __init__(self, site: Site, chance: random.Random, clock: "Clock"):
        self.site, self.chance, self.clock = site, chance, clock
        self.asks(chance.choice([1, 1, 2, 3]))
        self.start_at = clock.now + chance.randint(1, 600) * MINUTE if chance.random() < 0.3 else None
        change = VersionChange(
            service=site.service,
            action=Action.DEPLOY,
            dest_version=site.versions[3].pk,
            host="all",
            when=Timing(self.start_at),
        )
        made = actions.deploy(self.caller(0), change)
        assert made is not None and made.status == WAITING
        self.pk, self.round, self.shown = made.pk, 1, self.plan()
        self.said: set[tuple[int, int]] = set()  # (round, person)
        self.overridden = 0  # the round that it was
        self.tokens: list[tuple[str, tuple]] = []
        self.ended = self.begun = False
        self.met: Counter[str] = Counter()

    # ---- what there is ----

    def caller(self, person: int) -> Caller:
        return acting_as(self.site.people[person], None)

    def deployment(self) -> Deployment:
        return Deployment.objects.select_related("microservice", "environment").get(pk=self.pk)

    def row(self) -> DeploymentRequest:
        return facts.waiting().get(deployment=self.pk)

    def plan(self) -> tuple:
        """Return what it would do: the version that each instance leaves. What is locked is shown as left out."""
        rows = MicroServiceInstance.objects.exclude(lock_deployment=self.site.other).order_by("pk")
        return tuple(rows.values_list("pk", "version"))

    def asks(self, approvals: int) -> None:
        self.approvals = approvals
        Environment.objects.update(approvals=approvals, updated=self.clock.now)

    def may_deploy(self, person: int) -> bool:
        return Membership.objects.filter(user=self.site.people[person], role="deployer").exists()

    def what_is_missing(self) -> str:
        """Say why it may not begin; "" where it may."""
        if self.overridden != self.round:
            yes = {one for number, one in self.said if number == self.round and one and self.may_deploy(one)}
            need = max(self.approvals, 1) if self.round > 1 else self.approvals
            if need == 1 and self.approvals == 0 and (self.round, 0) in self.said and self.may_deploy(0):
                need = 0  # nobody else was asked: who asked confirmed what moved
            if len(yes) < need:
                return "approval"
            if self.start_at and self.start_at > self.clock.now:
                return "schedule"
            if Freeze.objects.filter(start__lte=self.clock.now, end__gt=self.clock.now).exists():
                return "freeze"
            if self.is_held():
                return "lock"
        return ""

    def is_held(self) -> bool:
        return MicroServiceInstance.objects.filter(lock_deployment=self.site.other).exists()

    # ---- what happens ----

    def event(self) -> None:
        kinds = [self.approve] * 6 + [self.move, self.lock, self.freeze, self.lift, self.reschedule, self.lose_right]
        kinds += [self.approve_what_is_gone] * 2 + [self.change_approvals, self.pass_time]
        if self.chance.random() < 0.3:
            kinds += [self.override, self.reject, self.cancel]
        act = self.chance.choice(kinds)
        act()
        self.met[act.__name__] += 1
        if self.ended:
            return
        self.clock.now += MINUTE
        look.sweep()
        self.check(act.__name__)

    def check(self, after: str) -> None:
        missing = self.what_is_missing()
        made = self.deployment()
        if not missing and not self.begins_as_shown(made):
            missing = self.what_is_missing()
        words = f"after {after}: {missing or 'nothing'} is missing, and it is {made.status}"
        if missing:
            assert made.status == WAITING, words
            assert not made.operations.exists(), words
            assert self.row().round == self.round, words
        else:
            assert made.status == DeploymentStatus.QUEUED, words
            self.ended = self.begun = True

    def begins_as_shown(self, made: Deployment) -> bool:
        """Return whether its plan is the one that was shown; else it is shown anew."""
        plan = tuple(made.operations.order_by("instance").values_list("instance", "from_version")) or self.plan()
        moved = plan != self.shown
        self.round, self.shown = self.round + moved, plan
        return not moved

    def approve(self) -> None:
        person = self.chance.choice([0, 1, 1, 2, 2, 3])
        if not self.plan():
            return
        token, plan = answers.plan_of(self.row()).token, self.plan()
        self.tokens.append((token, plan))
        new_round = self.round + (plan != self.shown)
        own = person == 0 and self.approvals > 0
        if own or not self.may_deploy(person):
            assert self.refused(person, token) == "forbidden"
            return
        if self.is_held():
            assert self.refused(person, token) == "instance_locked"
            return
        actions.approve(self.caller(person), self.deployment(), token)
        if new_round != self.round:
            self.round, self.shown = new_round, plan
        self.said.add((self.round, person))

    def approve_what_is_gone(self) -> None:
        gone = [token for token, plan in self.tokens if self.plan() and plan != self.plan()]
        able = [one for one in (1, 2, 3) if self.may_deploy(one)]
        if gone and able and not self.is_held():
            before = Approval.objects.count()
            assert self.refused(self.chance.choice(able), self.chance.choice(gone)) == "plan_changed"
            assert Approval.objects.count() == before

    def refused(self, person: int, token: str) -> str:
        with pytest.raises(Problem) as caught, transaction.atomic():
            actions.approve(self.caller(person), self.deployment(), token)
        return caught.value.code

    def override(self) -> None:
        if not self.plan():
            return
        token, plan = answers.plan_of(self.row()).token, self.plan()
        actions.override(acting_as(self.site.admin, None), self.deployment(), token, "on fire")
        if plan != self.shown:
            self.round, self.shown = self.round + 1, plan
        self.overridden = self.round

    def reject(self) -> None:
        able = [one for one in (1, 2, 3) if self.may_deploy(one)]
        if able:
            actions.reject(self.caller(able[0]), self.deployment(), "not today")
            self.is_cancelled()

    def cancel(self) -> None:
        actions.cancel(self.caller(0), self.deployment())
        self.is_cancelled()

    def is_cancelled(self) -> None:
        self.ended = True
        assert self.deployment().status == CANCELLED and not self.deployment().operations.exists()

    def move(self) -> None:
        """One instance goes to another version, by somebody else's deployment."""
        version = self.chance.choice(self.site.versions[:3])
        rows = MicroServiceInstance.objects.filter(pk=self.chance.choice(self.site.instances).pk, locked=False)
        rows.update(version=version)

    def lock(self) -> None:
        one = self.chance.choice(self.site.instances).pk
        rows = MicroServiceInstance.objects.filter(pk=one)
        locked = not rows.get().locked
        rows.update(locked=locked, lock_deployment=self.site.other if locked else None)

    def freeze(self) -> None:
        start = self.clock.now + self.chance.choice([0, 60]) * MINUTE
        end = start + self.chance.randint(5, 500) * MINUTE
        Freeze.objects.create(name=f"freeze {Freeze.objects.count()} {start}", everywhere=True, start=start, end=end)

    def lift(self) -> None:
        Freeze.objects.all().delete()
        look.look_again([self.pk])

    def reschedule(self) -> None:
        self.start_at = self.chance.choice([None, self.clock.now + self.chance.randint(5, 500) * MINUTE])
        actions.reschedule(self.caller(1 if self.may_deploy(1) else 0), self.deployment(), self.start_at)

    def lose_right(self) -> None:
        person = self.chance.choice([1, 2, 3])
        if sum(map(self.may_deploy, (1, 2, 3))) > 1:
            Membership.objects.filter(user=self.site.people[person]).update(role="viewer")

    def change_approvals(self) -> None:
        self.asks(self.chance.randint(0, 3))

    def pass_time(self) -> None:
        self.clock.now += self.chance.randint(10, 700) * MINUTE

    # ---- how it ends ----

    def last(self) -> None:
        """Look at what began; or let everything go until it ends."""
        if not self.ended:
            MicroServiceInstance.objects.update(locked=False, lock_deployment=None)
            self.clock.now += timedelta(days=3)
            look.sweep()
            status = self.deployment().status
            assert status != WAITING, "it waits for ever"
            self.begun = status != CANCELLED
        if self.begun:
            self.look_at_begun()

    def look_at_begun(self) -> None:
        made = self.deployment()
        rows = list(made.operations.order_by("instance").values_list("instance", "from_version"))
        assert tuple(rows) == self.shown, "it does something else than what was shown"
        assert look.look_again([self.pk]) + look.sweep() <= 2
        assert made.operations.count() == len(rows) and self.deployment().requested_by == "ann"
        assert self.row().look_at is None
        people = Counter(Approval.objects.values_list("request", "round", "user"))
        assert not people or max(people.values()) == 1


class Clock:
    def __init__(self) -> None:
        self.now = NOW


@contextmanager
def forgotten() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.timeout(7200)
def test_random_histories_of_rows(monkeypatch, store):
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    site, met, ends = Site(), Counter(), Counter()
    for seed in range(HISTORIES):
        clock.now = NOW
        with forgotten():
            history = History(site, random.Random(seed), clock)
            try:
                for _ in range(EVENTS):
                    if history.ended:
                        break
                    history.event()
                history.last()
            except Exception as error:
                error.add_note(f"history {seed}")
                raise
            met += history.met
            ends[history.deployment().status] += 1
    assert len(ends) == 2 and len(met) >= 8, (ends, met)
