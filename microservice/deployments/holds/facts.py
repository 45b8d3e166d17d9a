"""Reads from rows what decides whether deployments wait: for one that is asked for, or for many that wait."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, QuerySet

from access.authentication import rights_of_all
from access.callers import Caller
from access.models import Membership
from access.permissions import Rights
from runtime.sql import among

from ...models import Approval, Deployment, DeploymentRequest, MicroService, MicroServiceInstance, Operation
from ...status import Action, DeploymentStatus, OperationStatus
from .. import freezes, plan_token
from ..plan import Plan
from ..prepared import Prepared
from ..timing import Timing
from ..wait_reasons import Asked, Frozen, Reason, needed, reasons


@dataclass(frozen=True, slots=True)
class Wait:
    """A deployment that waits, or waited: its request, what holds it up now, and what people said, oldest first."""

    request: DeploymentRequest
    reasons: tuple[Reason, ...]
    answers: list[Approval]


def waits_of(deployments: Collection[int], now: datetime) -> dict[int, Wait]:
    """Return those of these deployments (ids) that wait or waited. One query where none did, else a fixed number."""
    rows = list(waiting().filter(deployment__in=deployments))
    if not rows:
        return {}
    said: dict[int, list[Approval]] = defaultdict(list)
    for one in Approval.objects.filter(request__in=[row.pk for row in rows]).order_by("pk"):
        said[one.request_id].append(one)
    found = reasons_of([row for row in rows if row.deployment.status == DeploymentStatus.WAITING], now)
    return {row.deployment_id: Wait(row, found.get(row.deployment_id, ()), said[row.pk]) for row in rows}


def waiting() -> QuerySet[DeploymentRequest]:
    """Return requests with all that their reasons need."""
    return DeploymentRequest.objects.select_related("deployment__microservice", "deployment__environment__approvers")


def asked_now(caller: Caller, prepared: Prepared, when: Timing) -> Asked:
    """Return what decides about a request that comes in now, as far as it can be said without its plan: `with_plan`."""
    by_token = caller.token_id is not None or caller.user_id is None
    return Asked(runs_nothing=prepared.adopt, by_token=by_token, start_at=when.start_at)


def asked_before(request: DeploymentRequest, overridden: bool = False) -> Asked:
    """Return the same of a request that waits."""
    return Asked(
        goes_back=request.goes_back,
        repeats=request.repeats,
        runs_nothing=request.runs_nothing,
        by_token=request.by_token,
        start_at=request.start_at,
        moved=request.round > 1,
        overridden=overridden,
    )


def with_plan(asked: Asked, plan: Plan) -> Asked:
    """Return the same with what its plan says: whether it only goes back to what ran in this environment before, or
    repeats what began in it, as the service is still defined. An older version that never ran there is a new one.

    Two queries at most.
    """
    deployment, moves = plan.deployment, set(plan.moves)
    if deployment.action == Action.RETRY:
        return replace(asked, repeats=_began_alike(plan))
    versions = {move[2] for move in moves}
    goes_back = all(move[0] == Action.REVERT for move in moves) and _ran_there(deployment, versions)
    return replace(asked, goes_back=goes_back)


def _ran_there(deployment: Deployment, versions: Collection[int | None]) -> bool:
    brought = Operation.objects.filter(
        deployment__microservice=deployment.microservice_id,
        host__environment=deployment.environment_id,
        dest_version__in=[one for one in versions if one is not None],
        status=OperationStatus.SUCCEEDED,
    )
    return brought.order_by().values("dest_version").distinct().count() == len(versions)


def _began_alike(plan: Plan) -> bool:
    """Return whether the deployments that a retry repeats were in the same environment, of the same definition."""
    deployment = plan.deployment
    if deployment.origin:
        origins = [deployment.origin]
    else:
        rows = MicroServiceInstance.objects.filter(pk__in=among([row.instance_id or 0 for row, _plan in plan.targets]))
        last = Operation.objects.filter(pk__in=rows.values("last_operation"))
        origins = list(Deployment.objects.filter(pk__in=last.order_by().values("deployment")))
    same = plan_token.definition(deployment)
    return all(
        one.environment_id == deployment.environment_id and plan_token.definition(one) == same for one in origins
    )


def reasons_now(deployment: Deployment, asked: Asked, now: datetime) -> tuple[Reason, ...]:
    """Return what holds up a request that comes in now. Two queries; none where it is in no environment."""
    environment = deployment.environment
    frozen = _frozen({environment.pk}, now)[environment.pk] if environment and not asked.runs_nothing else []
    return reasons(environment, asked, frozen, 0, now)


def reasons_of(requests: Collection[DeploymentRequest], now: datetime) -> dict[int, tuple[Reason, ...]]:
    """Return what holds up each of these deployments (ids), of `waiting`. A fixed number of queries."""
    if not requests:
        return {}
    frozen = _frozen({row.deployment.environment_id for row in requests if row.deployment.environment_id}, now)
    answers = _answers(requests)
    yes = _count_approvers(requests, answers)
    return {
        row.deployment_id: reasons(
            row.deployment.environment,
            asked_before(row, any(one.verdict == Approval.Verdict.OVERRIDE for one in answers[row.pk])),
            frozen.get(row.deployment.environment_id or 0, []),
            yes[row.pk],
            now,
        )
        for row in requests
    }


def _frozen(environments: Collection[int], now: datetime) -> dict[int, list[Frozen]]:
    found = freezes.in_force_in(environments, now)
    return {
        number: [
            Frozen(freeze.name, until, freeze.allow_reverts)
            for freeze in holding
            if (until := freezes.freeze_until(freeze, now))
        ]
        for number, holding in found.items()
    }


def _answers(requests: Collection[DeploymentRequest]) -> Mapping[int, list[Approval]]:
    """Return {request id: what was said to its present round}. One query."""
    rows = Approval.objects.filter(request__in=[row.pk for row in requests], round=F("request__round"))
    found: dict[int, list[Approval]] = defaultdict(list)
    for one in rows.select_related("user"):
        found[one.request_id].append(one)
    return found


def _count_approvers(
    requests: Collection[DeploymentRequest], answers: Mapping[int, list[Approval]]
) -> Mapping[int, int]:
    """Count for each request those who said yes and may say it now. Two queries."""
    people = {one.user.pk: one.user for said in answers.values() for one in said if one.user}
    rights, teams = rights_of_all(people.values()), teams_of(people)
    counts: dict[int, int] = defaultdict(int)
    for row in requests:
        for one in answers[row.pk]:
            if one.verdict == Approval.Verdict.YES and one.user and one.user.is_active:
                number = one.user.pk
                counts[row.pk] += may_say_yes(row, number, rights[number], teams[number])
    return counts


def teams_of(people: Iterable[int]) -> Mapping[int, set[int]]:
    """Return the teams (ids) of each of these users (ids). One query."""
    found: dict[int, set[int]] = defaultdict(set)
    for user, team in Membership.objects.filter(user__in=list(people)).values_list("user", "team"):
        found[user].add(team)
    return found


def may_say_yes(request: DeploymentRequest, user: int, rights: Rights | None, teams: Collection[int]) -> bool:
    """Return whether a user's yes counts. `rights`: None for an administrator. Pure.

    Where the environment names a team, its members are asked, if they may see the service; otherwise whoever may deploy
    it. Never the one who asked, except to confirm a plan that moved where the environment asks nobody.
    """
    deployment = request.deployment
    environment, service = deployment.environment, deployment.microservice
    if user == request.user_id and not may_confirm_own(request):
        return False
    if environment and environment.approvers_id is not None:
        return environment.approvers_id in teams and _may("read", rights, service)
    return _may("deploy", rights, service)


def may_confirm_own(request: DeploymentRequest) -> bool:
    """Return whether who asked may confirm that the plan is another one by now: nobody else was to be asked. Pure."""
    return needed(request.deployment.environment, replace(asked_before(request), moved=False)) == 0


def _may(scope: str, rights: Rights | None, service: MicroService) -> bool:
    return rights is None or scope in rights.in_team(service.team_id)
