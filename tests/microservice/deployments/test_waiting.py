"""Deployments that wait: they hold nothing, and begin once, as what was shown to who approved them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from access import service_accounts
from access.authentication import acting_as
from access.callers import Caller
from access.models import Membership, Team, Token
from access.problems import Problem
from asset import environments
from asset.models import Asset, Environment
from asset.strategy import Strategy
from audit.models import History
from callbacks.models import Callback, Delivery
from microservice import atoms
from microservice.deployments import actions
from microservice.deployments.holds import facts
from microservice.deployments.installs import Installation
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.timing import Timing
from microservice.deployments.version_change import VersionChange
from microservice.deployments.waiting import answers, look
from microservice.models import Approval, Deployment, DeploymentRequest, Freeze, MicroServiceInstance, OnFreeze
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories

pytestmark = pytest.mark.django_db
WAITING, QUEUED, CANCELLED = DeploymentStatus.WAITING, DeploymentStatus.QUEUED, DeploymentStatus.CANCELLED


class Site:
    """A service on three hosts in production, which asks for one approval; the service's team has four deployers."""

    def __init__(self) -> None:
        self.team = Team.objects.create(name="shop-team")
        self.people = [User.objects.create_user(name) for name in ("ann", "ben", "cat", "dan")]
        for user in self.people:
            Membership.objects.create(team=self.team, user=user, role="deployer")
        self.admin = User.objects.create_superuser("root")
        self.service = factories.service(team=self.team)
        self.versions = factories.versions(self.service, 4)
        self.hosts = factories.hosts(3)
        self.production = Environment.objects.create(name="production", approvals=1)
        Asset.objects.update(environment=self.production)
        self.instances = factories.instances(self.versions[1], self.hosts)

    def caller(self, number: int = 0) -> Caller:
        return acting_as(self.people[number], None)

    def by_token(self, number: int = 0, **more) -> Caller:
        user = self.people[number]
        token = Token.objects.create(
            user=user, name="ci", digest=f"d{number}", hint="h", scopes=["read", "deploy"], **more
        )
        return acting_as(user, token)

    def change(self, to: int = 3, **more) -> VersionChange:
        named = {} if {"host", "instances"} & set(more) else {"host": "all"}
        return VersionChange(
            service=self.service, action=Action.DEPLOY, dest_version=self.versions[to].pk, **named, **more
        )

    def ask(self, caller: Caller | None = None, to: int = 3, **more) -> Deployment:
        deployment = actions.deploy(caller or self.caller(), self.change(to, **more))
        assert deployment is not None
        return deployment

    def asks(self, **more) -> None:
        """Change what production asks for."""
        environments.change(acting_as(self.admin, None), Environment.objects.get(), more)

    def approve(self, deployment: Deployment, number: int = 1, token: str = "") -> Deployment:
        return actions.approve(self.caller(number), deployment, token or plan(deployment).token, "fine")


@pytest.fixture
def site(db, store) -> Site:
    return Site()


def request_of(deployment: Deployment) -> DeploymentRequest:
    return facts.waiting().get(deployment=deployment)


def plan(deployment: Deployment):
    return answers.plan_of(request_of(deployment))


def refused(call, *values, **more) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*values, **more)
    return caught.value


def state(deployment: Deployment) -> tuple[str, str]:
    deployment.refresh_from_db()
    return deployment.status, deployment.reason.code if deployment.reason else ""


def look_later(deployment: Deployment) -> None:
    """Let the time of the next look come."""
    DeploymentRequest.objects.filter(deployment=deployment).update(look_at=timezone.now())
    look.sweep()


def deeds(deployment: Deployment) -> list[tuple[str, str]]:
    rows = History.objects.filter(subject="deployment", subject_id=deployment.pk).order_by("pk")
    return [(row.action, row.actor) for row in rows]


# --- approval ---------------------------------------------------------------------------------------------------------


def test_what_waits_has_no_operations_and_no_lock(site):
    waits = site.ask(note="weekly")
    assert state(waits) == (WAITING, "") and waits.environment == site.production
    assert not waits.operations.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()
    (reason,) = facts.reasons_of([request_of(waits)], timezone.now())[waits.pk]
    assert (reason.kind, reason.need, reason.have) == ("approval", 1, 0)
    assert deeds(waits) == [("ask", "ann")]
    free = actions.deploy(site.caller(), site.change(2, host=(site.hosts[0].pk,), environment="production"))
    assert free.status == WAITING and free.pk != waits.pk


def test_the_last_yes_begins_it_as_it_was_asked(site):
    strategy = Strategy(batch_size=1, max_failures=1)
    waits = site.ask(strategy=strategy, note="weekly", host=(site.hosts[2].pk, site.hosts[0].pk))
    begun = site.approve(waits)
    assert begun.pk == waits.pk and begun.status == QUEUED and begun.requested_by == "ann" and begun.note == "weekly"
    assert begun.strategy == strategy.to_json() and begun.created == waits.created
    rows = begun.operations.order_by("pk")
    assert {row.host_id for row in rows} == {site.hosts[0].pk, site.hosts[2].pk}
    assert {(row.action, row.dest_version_id) for row in rows} == {("upgrade", site.versions[3].pk)}
    assert [row.status for row in rows] == [OperationStatus.QUEUED, OperationStatus.PENDING]
    assert MicroServiceInstance.objects.filter(lock_deployment=begun, locked=True).count() == 2
    assert deeds(begun) == [("ask", "ann"), ("approve", "ben"), ("deploy", "ann")]
    assert request_of(begun).look_at is None


def test_what_began_and_ended_does_not_begin_again(site):
    begun = site.approve(site.ask())
    Deployment.objects.update(status=DeploymentStatus.FAILED)
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=InstanceStatus.RUNNING)
    look.look_again([begun.pk])
    assert state(begun)[0] == DeploymentStatus.FAILED and begun.operations.count() == 3


def test_author_and_approver_are_different_people(site):
    waits = site.ask(site.by_token(0))  # a token counts as the person who made it
    assert refused(site.approve, waits, 0).message.code == "forbidden.approve_own"
    assert state(site.approve(waits, 1))[0] == QUEUED


def test_nobody_approves_twice(site):
    site.asks(approvals=2)
    waits = site.ask()
    assert site.approve(waits, 1).status == WAITING and site.approve(waits, 1).status == WAITING
    assert site.approve(waits, 2).status == QUEUED
    assert list(Approval.objects.values_list("name", flat=True)) == ["ben", "cat"]


@pytest.mark.parametrize("how", ["role", "account"])
def test_who_loses_the_right_meanwhile_does_not_count(site, how):
    site.asks(approvals=2)
    waits = site.ask()
    site.approve(waits, 1)
    if how == "role":
        Membership.objects.filter(user=site.people[1]).update(role="viewer")
    else:
        User.objects.filter(pk=site.people[1].pk).update(is_active=False)
    assert site.approve(waits, 2).status == WAITING
    (reason,) = facts.reasons_of([request_of(waits)], timezone.now())[waits.pk]
    assert reason.have == 1
    assert site.approve(waits, 3).status == QUEUED


def test_only_the_team_that_is_asked_counts(site):
    ops = Team.objects.create(name="ops")
    site.asks(approvers=ops.pk)
    waits = site.ask()
    assert refused(site.approve, waits, 1).message.code == "forbidden.approve_of_team"
    Membership.objects.create(team=ops, user=site.people[1], role="viewer")
    assert site.approve(waits, 1).status == QUEUED


def test_members_of_the_team_who_cannot_see_the_service_do_not_count(site):
    ops, eve = Team.objects.create(name="ops"), User.objects.create_user("eve")
    site.asks(approvers=ops.pk)
    Membership.objects.create(team=ops, user=eve, role="owner")
    waits = site.ask()
    assert refused(actions.approve, acting_as(eve, None), waits, plan(waits).token).message.code == "forbidden.approve"


def test_where_tokens_do_not_deploy_alone_a_person_says_yes(site):
    site.asks(approvals=0, tokens_deploy=False)
    assert site.ask().status == QUEUED, "a person needs nobody else"
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=InstanceStatus.RUNNING)
    waits = site.ask(site.by_token(0))
    by_token = site.by_token(1)
    code = refused(actions.approve, by_token, waits, plan(waits).token).message.code
    assert (waits.status, code) == (WAITING, "forbidden.approve_by_token")
    assert site.approve(waits, 1).status == QUEUED


def test_a_rejection_ends_it_and_says_why(site):
    waits = site.ask()
    assert refused(actions.reject, site.caller(1), waits, " ").errors[0]["pointer"] == "/comment"
    assert refused(actions.reject, site.caller(0), waits, "no").code == "forbidden"
    actions.reject(site.caller(1), waits, "not on a Friday")
    assert state(waits) == (CANCELLED, "rejected_by") and waits.reason.params["comment"] == "not on a Friday"
    assert deeds(waits)[-1] == ("reject", "ben") and waits.finished
    assert refused(site.approve, waits, 2).code == "deployment_state"


def test_who_may_deploy_cancels_it(site):
    waits = site.ask()
    actions.cancel(site.caller(2), waits)
    assert state(waits) == (CANCELLED, "cancelled_by")
    look_later(waits)
    assert state(waits)[0] == CANCELLED


# --- what was shown ---------------------------------------------------------------------------------------------------


def test_a_yes_is_to_the_plan_that_was_shown(site):
    waits = site.ask()
    shown = plan(waits).token
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(version=site.versions[2])
    assert refused(site.approve, waits, 1, shown).code == "plan_changed"
    assert not Approval.objects.exists() and waits.operations.count() == 0
    assert refused(site.approve, waits, 1, "nonsense").errors[0]["pointer"] == "/plan_token"


def test_a_yes_to_the_plan_of_now_is_the_first_to_it(site):
    site.asks(approvals=2)
    waits = site.ask()
    site.approve(waits, 1)
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(version=site.versions[2])
    assert site.approve(waits, 2).status == WAITING
    row = request_of(waits)
    assert row.round == 2 and [one["code"] for one in row.moved] == ["plan_changed.target_version"]
    assert site.approve(waits, 1).status == QUEUED, "who said yes before says so to this plan too"


def test_a_plan_that_moved_while_it_waited_for_its_time_goes_back_to_approval(site):
    later = Timing(timezone.now() + timedelta(hours=1))
    waits = site.ask(when=later)
    assert site.approve(waits, 1).status == WAITING
    site.service.environment = {"NEW": "definition"}
    site.service.save()
    DeploymentRequest.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    look_later(waits)
    row = request_of(waits)
    assert state(waits)[0] == WAITING and row.round == 2
    assert [one["code"] for one in row.moved] == ["plan_changed.definition"]
    assert not waits.operations.exists() and not MicroServiceInstance.objects.filter(locked=True).exists()
    assert site.approve(waits, 1).status == QUEUED


def test_where_nobody_is_asked_who_asked_confirms_the_plan_that_moved(site):
    site.asks(approvals=0)
    waits = site.ask(when=Timing(timezone.now() + timedelta(hours=1)))
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(version=site.versions[2])
    DeploymentRequest.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    look_later(waits)
    assert state(waits)[0] == WAITING and request_of(waits).round == 2
    assert site.approve(waits, 0).status == QUEUED


def test_it_waits_for_another_deployment_on_its_hosts(site):
    waits = site.ask()
    shown = plan(waits).token
    other = factories.deployment(site.instances[:1], site.versions[2])
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(locked=True, lock_deployment=other)
    site.asks(approvals=0)  # nothing holds it up any more
    look.sweep()
    assert state(waits)[0] == WAITING and request_of(waits).round == 1
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None)
    look_later(waits)
    assert state(waits)[0] == QUEUED and shown


def test_who_may_no_longer_deploy_begins_nothing(site):
    waits = site.ask()
    Membership.objects.filter(user=site.people[0]).delete()
    code = refused(site.approve, waits, 1, "x").code
    assert code in ("invalid", "forbidden")
    site.asks(approvals=0)
    look.sweep()
    assert state(waits) == (CANCELLED, "forbidden.deploy")


def test_a_revoked_token_begins_nothing(site):
    waits = site.ask(site.by_token(0))
    Token.objects.update(revoked=timezone.now())
    site.asks(approvals=0)
    look.sweep()
    assert state(waits) == (CANCELLED, "forbidden.author_gone")


def test_a_version_that_was_marked_bad_does_not_begin(site):
    waits = site.ask()
    site.versions[3].bad = True
    site.versions[3].save()
    site.asks(approvals=0)
    look.sweep()
    assert state(waits) == (CANCELLED, "version_bad")


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_schedule_begins_at_its_time_and_may_be_moved(site):
    site.asks(approvals=0)
    waits = site.ask(when=Timing(timezone.now() + timedelta(days=3)))
    assert request_of(waits).expires > timezone.now() + timedelta(days=3, hours=23)
    look_later(waits)
    assert state(waits)[0] == WAITING
    actions.reschedule(site.caller(1), waits, timezone.now() + timedelta(hours=2))
    assert request_of(waits).expires < timezone.now() + timedelta(hours=27)
    actions.reschedule(site.caller(1), waits, None)
    assert state(waits)[0] == QUEUED
    assert deeds(waits) == [("ask", "ann"), ("reschedule", "ben"), ("reschedule", "ben"), ("deploy", "ann")]
    assert refused(actions.reschedule, site.caller(1), waits, None).code == "deployment_state"


def test_one_that_is_to_begin_now_waits_for_hosts_that_are_locked(site):
    site.asks(approvals=0)
    waits = site.ask(when=Timing(timezone.now() + timedelta(days=3)))
    MicroServiceInstance.objects.update(
        locked=True, lock_deployment=factories.deployment(site.instances, site.versions[2])
    )
    actions.reschedule(site.caller(1), waits, None)
    assert state(waits)[0] == WAITING
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None)
    look_later(waits)
    assert state(waits)[0] == QUEUED


@pytest.mark.parametrize("away", [timedelta(seconds=-1), timedelta(days=367)])
def test_a_time_that_cannot_be_is_refused(site, away):
    problem = refused(site.ask, when=Timing(timezone.now() + away))
    assert problem.status == 422 and problem.errors[0]["pointer"] == "/start_at" and not Deployment.objects.exists()


def test_it_does_not_wait_for_ever(site):
    waits = site.ask()
    past = timezone.now() - timedelta(hours=25)
    Deployment.objects.update(created=past)
    DeploymentRequest.objects.update(expires=past + timedelta(hours=24))
    look_later(waits)
    assert state(waits) == (CANCELLED, "waited_too_long") and deeds(waits)[-1] == ("expire", "system")


def freeze(site, **more) -> Freeze:
    now = timezone.now()
    row = Freeze.objects.create(name="Friday", start=now - timedelta(hours=1), end=now + timedelta(hours=1), **more)
    row.environments.add(site.production)
    return row


def test_in_a_freeze_it_waits_or_is_refused(site):
    site.asks(approvals=0)
    row = freeze(site)
    waits = site.ask()
    assert waits.status == WAITING
    problem = refused(site.ask, to=2, when=Timing(on_freeze=OnFreeze.REFUSE))
    assert (problem.status, problem.code) == (409, "frozen") and "Friday" in problem.detail
    row.end = timezone.now()
    row.save()
    look_later(waits)
    assert state(waits)[0] == QUEUED


def test_in_a_freeze_what_goes_back_goes_on_unless_it_says_otherwise(site):
    site.asks(approvals=0)
    ran_before(site)
    row = freeze(site)
    assert site.ask(to=0).status == QUEUED
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=InstanceStatus.RUNNING)
    row.allow_reverts = False
    row.save()
    assert site.ask(to=0).status == WAITING


def ran_before(site) -> None:
    """Let the oldest version have run in production."""
    done = factories.deployment(site.instances, site.versions[0], DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    assert done.operations.count() == 3


def test_an_older_version_that_never_ran_there_does_not_go_back(site):
    """It was built before what runs: that makes it no less new to production."""
    freeze(site)
    waits = site.ask(to=0)
    kinds = [one.kind for one in facts.reasons_of([request_of(waits)], timezone.now())[waits.pk]]
    assert waits.status == WAITING and kinds == ["approval", "freeze"]
    Freeze.objects.all().delete()
    ran_before(site)
    assert site.ask(site.caller(1), to=0).status == QUEUED


def test_what_waits_is_asked_of_where_its_hosts_are_when_it_begins(site):
    staging = Environment.objects.create(name="staging")
    Asset.objects.update(environment=staging)
    waits = site.ask(when=LATER())
    Asset.objects.update(environment=site.production)
    freeze(site, allow_reverts=False)
    DeploymentRequest.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    look_later(waits)
    waits.refresh_from_db()
    assert waits.status == WAITING and waits.environment == site.production
    kinds = [one.kind for one in facts.reasons_of([request_of(waits)], timezone.now())[waits.pk]]
    assert kinds == ["approval", "freeze"]
    assert refused(site.approve, waits, 0).message.code == "forbidden.approve_own"
    assert site.approve(waits, 1).status == WAITING


def test_what_went_back_when_it_was_asked_may_go_forward_when_it_begins(site):
    MicroServiceInstance.objects.update(version=site.versions[3])
    done = factories.deployment(site.instances, site.versions[2], DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    waits = site.ask(to=2, when=LATER())
    assert request_of(waits).goes_back and done
    MicroServiceInstance.objects.update(version=site.versions[1])
    DeploymentRequest.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    look_later(waits)
    assert state(waits)[0] == WAITING and not request_of(waits).goes_back
    assert refused(site.approve, waits, 0).message.code == "forbidden.approve_own"
    assert site.approve(waits, 1).status == QUEUED


def test_a_retry_repeats_only_what_began_there_as_the_service_is_defined(site):
    origin = ended(site)
    for change in ("environment", "definition"):
        fresh = atoms.spec_of(site.service)
        Deployment.objects.filter(pk=origin.pk).update(environment=site.production, spec=fresh)
        origin.refresh_from_db()
        if change == "environment":
            Deployment.objects.filter(pk=origin.pk).update(environment=Environment.objects.create(name="staging"))
        else:
            site.service.start_command = "other"
            site.service.save()
        origin.refresh_from_db()
        assert actions.retry(site.caller(), origin).status == WAITING, change
    Deployment.objects.filter(pk=origin.pk).update(environment=site.production, spec=atoms.spec_of(site.service))
    origin.refresh_from_db()
    assert actions.retry(site.caller(1), origin).status == QUEUED


# --- override ---------------------------------------------------------------------------------------------------------


def test_an_administrator_begins_it_all_the_same_and_everybody_is_told(site):
    freeze(site, allow_reverts=False)
    Callback.objects.create(url="https://a.example/x", events=["deployment.failed"])
    Callback.objects.create(url="https://b.example/x", events=["build.ended"])
    waits = site.ask(when=Timing(timezone.now() + timedelta(hours=1)))
    root, token = acting_as(site.admin, None), plan(waits).token
    assert refused(actions.override, site.caller(1), waits, token, "outage").message.code == "forbidden.override"
    assert refused(actions.override, root, waits, token, "").errors[0]["pointer"] == "/reason"
    actions.override(root, waits, token, "outage")
    assert state(waits)[0] == QUEUED and deeds(waits)[1] == ("override", "root")
    assert [row.callback.url for row in Delivery.objects.filter(event="deployment.overridden")] == [
        "https://a.example/x"
    ]
    assert History.objects.get(action="override").reason == "outage"


# --- every kind -------------------------------------------------------------------------------------------------------


def ended(site, to: int = 3) -> Deployment:
    """Return an upgrade that succeeded on one host and failed on another."""
    origin = factories.deployment(site.instances[:2], site.versions[to], DeploymentStatus.FAILED)
    good, failed = origin.operations.order_by("pk")
    good.status, failed.status = OperationStatus.SUCCEEDED, OperationStatus.UNDONE
    good.save(), failed.save()
    MicroServiceInstance.objects.filter(pk=good.instance_id).update(version=site.versions[to], last_operation=good)
    MicroServiceInstance.objects.filter(pk=failed.instance_id).update(
        status=InstanceStatus.UPGRADE_FAILED, last_operation=failed
    )
    return origin


KINDS = {
    "deploy": lambda site: site.ask(),
    "upgrade": lambda site: actions.change_version(
        site.caller(),
        VersionChange(
            service=site.service,
            action=Action.UPGRADE,
            version=site.versions[1],
            dest_version=site.versions[2].pk,
            host="all",
            when=LATER(),
        ),
    ),
    "install": lambda site: actions.install(
        site.caller(), Installation(version=site.versions[1], host=(bare_host(site).pk,), port=81, when=LATER())
    ),
    "revert": lambda site: actions.revert(site.caller(), DeploymentRevert(origin=ended(site), when=LATER())),
    "retry": lambda site: actions.retry(site.caller(), ended(site), when=LATER()),
    "retry_instances": lambda site: actions.retry_instances(
        site.caller(), site.service, (ended(site).operations.last().instance_id,), when=LATER()
    ),
    "delete": lambda site: actions.delete(site.caller(), site.service, (site.instances[0].pk,)),
}


def LATER() -> Timing:
    return Timing(timezone.now() + timedelta(hours=1))


def bare_host(site) -> Asset:
    host = factories.hosts(1, prefix="bare")[0]
    Asset.objects.filter(pk=host.pk).update(environment=site.production)
    return host


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_request_waits_and_begins(site, kind):
    before = list(MicroServiceInstance.objects.order_by("pk").values_list("pk", "version", "locked"))
    waits = KINDS[kind](site)
    if kind in ("deploy", "upgrade", "install", "delete"):
        assert before == list(MicroServiceInstance.objects.order_by("pk").values_list("pk", "version", "locked"))
    assert waits.status == WAITING and not waits.operations.exists()
    shown = plan(waits)
    DeploymentRequest.objects.update(start_at=None)
    site.asks(approvals=0)
    look.sweep()
    assert state(waits) == (QUEUED, ""), waits.reason
    moves = {(row.host_id, row.action, row.from_version_id, row.dest_version_id) for row in waits.operations.all()}
    rows = [row for row, _plan in shown.targets]
    assert moves == {(row.host_id, *move) for row, move in zip(rows, shown.moves, strict=True)}


def test_asking_again_for_what_waits_asks_for_nothing_new(site):
    waits = site.ask()
    assert site.ask().pk == waits.pk
    assert site.ask(site.caller(1)).pk != waits.pk, "somebody else's is another one"
    assert site.ask(to=2).pk != waits.pk


def test_the_sweep_finds_what_is_due_by_index(site, django_assert_num_queries):
    for number in range(3):
        site.ask(to=3, host=(site.hosts[number].pk,))
    DeploymentRequest.objects.update(look_at=timezone.now() + timedelta(hours=1))
    Environment.objects.update(updated=timezone.now() - timedelta(minutes=1))
    with django_assert_num_queries(1):
        assert look.sweep() == 0


def test_a_change_that_was_not_committed_at_the_last_look_is_seen(site):
    waits = site.ask()
    DeploymentRequest.objects.update(look_at=timezone.now() + timedelta(hours=1), looked_at=timezone.now())
    Environment.objects.update(approvals=0, updated=timezone.now() - timedelta(seconds=5))
    look.sweep()
    assert state(waits)[0] == QUEUED


def test_looking_at_many_takes_a_fixed_number_of_queries(site, django_assert_max_num_queries):
    for number in range(3):
        waits = site.ask(to=3, host=(site.hosts[number].pk,))
        site.approve(site.ask(site.caller(1), to=2, host=(site.hosts[number].pk,)), 0) if number else None
    rows = list(facts.waiting().filter(deployment__status=WAITING))
    assert waits.pk in {row.deployment_id for row in rows}
    with django_assert_max_num_queries(6):
        found = facts.reasons_of(rows, timezone.now())
    assert len(found) == len(rows) and all(found.values())


def test_an_error_of_ours_in_one_does_not_hold_up_the_others(site):
    site.asks(approvals=0)
    broken, sound = (site.ask(host=(host.pk,), when=LATER()) for host in site.hosts[:2])
    DeploymentRequest.objects.update(start_at=None, look_at=timezone.now())
    DeploymentRequest.objects.filter(deployment=broken).update(request={"kind": "of another version"})
    look.sweep()
    assert state(broken)[0] == WAITING and state(sound)[0] == QUEUED
    DeploymentRequest.objects.filter(deployment=broken).update(expires=timezone.now())
    look_later(broken)
    assert state(broken) == (CANCELLED, "could_not_begin")


def test_a_yes_waits_for_the_end_of_what_holds_its_hosts(site):
    waits = site.ask()
    other = factories.deployment(site.instances[:1], site.versions[2])
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(locked=True, lock_deployment=other)
    assert refused(site.approve, waits, 1).code == "instance_locked" and not Approval.objects.exists()
    actions.override(acting_as(site.admin, None), waits, plan(waits).token, "outage")
    assert state(waits)[0] == QUEUED and waits.operations.count() == 2, "an administrator takes those that are free"


def test_a_machine_is_nobody_who_approves(site):
    waits, robot = site.ask(), User.objects.create_user("robot")
    Membership.objects.create(team=site.team, user=robot, role="deployer")
    service_accounts.mark(robot, "root")
    problem = refused(actions.approve, acting_as(robot, None), waits, plan(waits).token)
    assert problem.message.code == "forbidden.approve"
