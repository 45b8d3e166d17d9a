"""What waits to begin: whom it waits for, what holds it up, and what people have said to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from access.callers import Caller
from messages import Message
from microservice.catalog.visibility import visible
from microservice.deployments.holds import facts
from microservice.deployments.wait_reasons import Kind, Reason
from microservice.models import Approval, Deployment, DeploymentRequest
from microservice.status import DeploymentStatus

from .paging import PAGE, Page, newest_first

MAX_MINE = 200  # that wait for one person, on one page


@dataclass(slots=True)
class Waiting:
    """A request that waits. `mine`: the reader's yes would count, and is missing."""

    request: DeploymentRequest
    reasons: tuple[Reason, ...] = ()
    mine: bool = False
    said: list[Approval] = field(default_factory=list)  # to the present plan

    @property
    def pk(self) -> int:
        return self.request.deployment_id

    @property
    def deployment(self) -> Deployment:
        return self.request.deployment

    @property
    def targets(self) -> int:
        return len(self.request.shown.get("hosts", ()))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many deployments wait: for the reader, at all, and the only one that waits for the reader (0: none)."""

    mine: int = 0
    every: int = 0
    only: int = 0


def waiting(
    caller: Caller, filters: Mapping[str, str], after: str = "", size: int = PAGE, *, without: Collection[int] = ()
) -> Page:
    """Return a page of `Waiting`, newest first. A fixed number of queries.

    `filters`: service, environment (names); `without`: ids of requests that are listed elsewhere.
    """
    page = newest_first(_rows(caller, filters).exclude(pk__in=without), after, size)
    return Page(_with_reasons(caller, page.rows), page.next, page.every)


def mine(caller: Caller, filters: Mapping[str, str]) -> list[Waiting]:
    """Return what waits for the caller's yes, oldest first: MAX_MINE at most. A fixed number of queries."""
    rows = _to_answer(caller, _rows(caller, filters)).order_by("pk")[:MAX_MINE]
    return [row for row in _with_reasons(caller, list(rows)) if row.mine]


def counts(caller: Caller) -> Counts:
    """Count what waits. One query where nothing does."""
    every = _rows(caller, {}).order_by().count()
    if not every:
        return Counts()
    found = mine(caller, {})
    return Counts(len(found), every, found[0].pk if len(found) == 1 else 0)


def one(caller: Caller, deployment: Deployment) -> Waiting | None:
    """Return what a deployment waits for; None where it does not wait."""
    if deployment.status != DeploymentStatus.WAITING:
        return None
    rows = _with_reasons(caller, list(facts.waiting().filter(deployment=deployment)))
    return rows[0] if rows else None


def moved(request: DeploymentRequest) -> list[Message]:
    """Return what differs from the plan of the round before."""
    return [Message.from_json(one) for one in request.moved]


def said(deployment: Deployment) -> list[Approval]:
    """Return all that people said to a deployment that waits or waited, oldest first. One query."""
    return list(Approval.objects.filter(request__deployment=deployment).order_by("pk"))


def _rows(caller: Caller, filters: Mapping[str, str]) -> QuerySet[DeploymentRequest]:
    rows = facts.waiting().filter(
        visible(caller, "deployment__microservice"), deployment__status=DeploymentStatus.WAITING
    )
    if name := filters.get("service"):
        rows = rows.filter(deployment__microservice__name=name)
    if name := filters.get("environment"):
        rows = rows.filter(deployment__environment__name=name)
    return rows.select_related("deployment__from_version", "deployment__dest_version")


def _to_answer(caller: Caller, rows: QuerySet[DeploymentRequest]) -> QuerySet[DeploymentRequest]:
    """Leave out what the caller has answered."""
    answered = Approval.objects.filter(request=OuterRef("pk"), round=OuterRef("round"), user=caller.user_id or 0)
    return rows.filter(~Exists(answered))


def _with_reasons(caller: Caller, rows: Collection[DeploymentRequest]) -> list[Waiting]:
    if not rows:
        return []
    now = timezone.now()
    found = [Waiting(row) for row in rows]
    reasons = facts.reasons_of(rows, now)
    answers = _answers(rows)
    teams = facts.teams_of([caller.user_id])[caller.user_id] if caller.user_id else set()
    for one in found:
        one.reasons, one.said = reasons[one.pk], answers.get(one.request.pk, [])
        one.mine = (
            any(reason.kind == Kind.APPROVAL for reason in one.reasons)
            and caller.user_id is not None
            and all(answer.user_id != caller.user_id for answer in one.said)
            and facts.may_say_yes(one.request, caller.user_id, caller.rights, teams)
        )
    return found


def _answers(rows: Iterable[DeploymentRequest]) -> dict[int, list[Approval]]:
    found: dict[int, list[Approval]] = {}
    asked = Approval.objects.filter(request__in=[row.pk for row in rows], round=F("request__round"))
    for answer in asked.order_by("pk"):
        found.setdefault(answer.request_id, []).append(answer)
    return found
