"""/deployments/: what was requested, how far it has come, and stopping, repeating or taking it back."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status

from access.authentication import caller_of
from access.callers import Caller
from access.problems import invalid
from asset import environments, tenancy
from microservice import catalog, event_stream
from microservice.deployments import actions, notes
from microservice.deployments.failures import failures_of
from microservice.deployments.holds import facts
from microservice.models import Deployment, Operation
from microservice.status import DEPLOYMENT_ENDED, Action, DeploymentStatus, OperationStatus
from runtime.db_connections import release_connection

from .. import lookup, paging
from ..auth import caller, needs
from ..schemas import base
from ..schemas import deployments as shapes
from ..schemas.deployment_requests import (
    ApproveRequest,
    DeploymentUpdate,
    OverrideRequest,
    RejectRequest,
    RescheduleRequest,
    RetryRequest,
    RevertRequest,
)

router = Router()

MAX_WAIT = 30  # seconds
POLL_INTERVAL = 2.0  # seconds between two reads of the row while a request waits, whatever the event stream says


@router.get("/deployments/", response=shapes.DeploymentList, summary="List deployments")
@needs("read")
def list_deployments(
    request: HttpRequest,
    query: paging.Page,
    service: str = Query("", description="Id or name"),
    status: str = "",
    action: str = "",
    environment: str = Query("", description="An environment's name or id; 0: of hosts in none"),
) -> shapes.DeploymentList:
    """List the deployments, newest first."""
    who = caller(request)
    rows = lookup.deployments(who)
    if service:
        rows = rows.filter(microservice=catalog.find_service(who, service))
    if status:
        rows = rows.filter(status=_word(status, DeploymentStatus.values, "/query/status"))
    if action:
        rows = rows.filter(action=_word(action, Action.values, "/query/action"))
    rows = rows.filter(environments.meant(environment))
    page = paging.page(query, rows)
    counts, waits = count_operations(page.rows), facts.waits_of([row.pk for row in page.rows], timezone.now())
    return page.answer(
        shapes.DeploymentList, lambda row: shapes.deployment(row, counts.get(row.pk, {}), waits.get(row.pk))
    )


@router.get("/deployments/{id}", response=shapes.DeploymentOut, summary="Get a deployment")
@needs("read")
def get_deployment(
    request: HttpRequest,
    id: base.PathId,
    response: HttpResponse,
    wait: int = Query(0, ge=0, le=MAX_WAIT, description="Maximum number of seconds to wait for the end"),
) -> shapes.DeploymentOut:
    """Return a deployment. With `wait`, the answer is sent when it has ended, or after that many seconds.

    A caller who already waits for as many deployments as allowed gets the answer at once, with `Retry-After`.
    """
    deployment = lookup.find_deployment(caller(request), id)
    if wait and deployment.status not in DEPLOYMENT_ENDED:
        if not _wait_for_end(id, wait, caller(request)):
            response["Retry-After"] = "2"
        who = caller_of(request)  # again: a caller who lost the right meanwhile must not see the result
        deployment = lookup.find_deployment(who or caller(request), id)
    return serialize(deployment)


@router.patch("/deployments/{id}", response=shapes.DeploymentOut, summary="Update a deployment")
@needs("deploy")
def change_deployment(request: HttpRequest, id: base.PathId, body: DeploymentUpdate) -> shapes.DeploymentOut:
    """Change the note, whatever the deployment's status."""
    deployment = lookup.find_deployment(caller(request), id, "deploy")
    if "note" in body.given():
        notes.change(caller(request), deployment, body.note)
    return serialize(deployment)


@router.get(
    "/deployments/{id}/operations/", response=shapes.OperationList, summary="List the operations of a deployment"
)
@needs("read")
def list_operations(
    request: HttpRequest, id: base.PathId, query: paging.Page, status: str = "", cause: str = ""
) -> shapes.OperationList:
    """List the operations of a deployment, one for each instance, with their steps."""
    who = caller(request)
    rows = Operation.objects.filter(tenancy.visible(who, "host"), deployment=lookup.find_deployment(who, id))
    if status:
        rows = rows.filter(status=_word(status, OperationStatus.values, "/query/status"))
    if cause:
        rows = rows.filter(cause=cause)
    rows = rows.select_related("host", "from_version", "dest_version").prefetch_related("steps")
    return paging.page(query, rows, "id").answer(shapes.OperationList, shapes.operation)


@router.get("/deployments/{id}/causes/", response=shapes.CauseList, summary="List why a deployment failed")
@needs("read")
def list_causes(request: HttpRequest, id: base.PathId) -> shapes.CauseList:
    """List the causes of a deployment's failures: first those that left a host broken, then the most frequent. Hosts
    that failed alike have one in common, whatever their names, addresses and numbers."""
    who = caller(request)
    found = failures_of(who, lookup.find_deployment(who, id))
    return shapes.CauseList.model_construct(data=[shapes.cause(one) for one in found.shown], more=found.more, code=0)


@router.post("/deployments/{id}/cancel", response=shapes.DeploymentOut, summary="Cancel a deployment")
@needs("deploy")
def cancel(request: HttpRequest, id: base.PathId) -> shapes.DeploymentOut:
    """Start no more operations; stop running ones on their hosts and undo them."""
    return _after(actions.cancel, request, id)


@router.post("/deployments/{id}/pause", response=shapes.DeploymentOut, summary="Pause a deployment")
@needs("deploy")
def pause(request: HttpRequest, id: base.PathId) -> shapes.DeploymentOut:
    """Start no more operations until the deployment is resumed; running ones continue."""
    return _after(actions.pause, request, id)


@router.post("/deployments/{id}/resume", response=shapes.DeploymentOut, summary="Resume a deployment")
@needs("deploy")
def resume(request: HttpRequest, id: base.PathId) -> shapes.DeploymentOut:
    """Continue a paused deployment."""
    return _after(actions.resume, request, id)


@router.post("/deployments/{id}/retry", response={202: shapes.DeploymentOut}, summary="Retry a deployment")
@needs("deploy")
def retry(
    request: HttpRequest, id: base.PathId, response: HttpResponse, body: RetryRequest | None = None
) -> Status[shapes.DeploymentOut]:
    """Repeat the operations that are undone, failed, not_started or unknown, each toward its own version; or those of
    one `cause` only."""
    deployment = lookup.find_deployment(caller(request), id, "deploy")
    body = body or RetryRequest.model_validate({})
    options = body.model_dump(exclude={"start_at", "on_freeze"}) | {"when": body.when}
    return accepted(actions.retry(caller(request), deployment, **options), response)


@router.post("/deployments/{id}/revert", response={202: shapes.DeploymentOut, 200: dict}, summary="Revert a deployment")
@needs("deploy")
def revert(
    request: HttpRequest, id: base.PathId, response: HttpResponse, body: RevertRequest | None = None
) -> Status[shapes.DeploymentOut] | Status[dict[str, Any]]:
    """Revert each instance that this deployment changed to its previous version. `dry_run`: 200 with the plan."""
    body = body or RevertRequest.model_validate({})
    wanted = body.as_revert(lookup.find_deployment(caller(request), id, "deploy"))
    if body.dry_run:
        return Status(200, actions.preview_revert(caller(request), wanted).as_json())
    return accepted(actions.revert(caller(request), wanted), response)


@router.get("/deployments/{id}/plan", response=dict, summary="Get the plan of a deployment that waits")
@needs("read")
def get_plan(request: HttpRequest, id: base.PathId) -> dict[str, Any]:
    """Return what a deployment that waits would do if it began now, as a dry run does: approving it takes its
    `plan_token`. 409 where it does not wait, or could not begin."""
    return actions.plan_of_waiting(lookup.find_deployment(caller(request), id)).as_json()


@router.post("/deployments/{id}/approve", response=shapes.DeploymentOut, summary="Approve a deployment")
@needs("read")
def approve(request: HttpRequest, id: base.PathId, body: ApproveRequest) -> shapes.DeploymentOut:
    """Say yes to the plan that was shown; it begins if nothing else holds it up. Never by who asked for it."""
    return _answered(request, id, lambda who, row: actions.approve(who, row, body.plan_token, body.comment))


@router.post("/deployments/{id}/reject", response=shapes.DeploymentOut, summary="Reject a deployment")
@needs("read")
def reject(request: HttpRequest, id: base.PathId, body: RejectRequest) -> shapes.DeploymentOut:
    """Say no, and why: it ends as cancelled."""
    return _answered(request, id, lambda who, row: actions.reject(who, row, body.comment))


@router.post("/deployments/{id}/override", response=shapes.DeploymentOut, summary="Begin a deployment all the same")
@needs("admin")
def override(request: HttpRequest, id: base.PathId, body: OverrideRequest) -> shapes.DeploymentOut:
    """Begin the plan that was shown, whatever it waits for. All who are told of deployments are told of this."""
    return _answered(request, id, lambda who, row: actions.override(who, row, body.plan_token, body.reason))


@router.post("/deployments/{id}/reschedule", response=shapes.DeploymentOut, summary="Reschedule a deployment")
@needs("deploy")
def reschedule(request: HttpRequest, id: base.PathId, body: RescheduleRequest) -> shapes.DeploymentOut:
    """Let a deployment that waits begin at another time; null: as soon as nothing else holds it up."""
    return _after(lambda who, row: actions.reschedule(who, row, body.start_at), request, id)


def _answered(
    request: HttpRequest, number: int, answer: Callable[[Caller, Deployment], Deployment]
) -> shapes.DeploymentOut:
    answer(caller(request), lookup.find_deployment(caller(request), number))
    return serialize(lookup.find_deployment(caller(request), number))


def accepted(deployment: Deployment, response: HttpResponse) -> Status[shapes.DeploymentOut]:
    """Return 202 with the deployment and its Location."""
    response["Location"] = f"/api/v1/deployments/{deployment.pk}"
    return Status(202, serialize(deployment))


def serialize(deployment: Deployment) -> shapes.DeploymentOut:
    counts, waits = count_operations([deployment]), facts.waits_of([deployment.pk], timezone.now())
    return shapes.deployment(deployment, counts.get(deployment.pk, {}), waits.get(deployment.pk))


def count_operations(rows: Iterable[Deployment]) -> dict[int, dict[str, int]]:
    """Return {deployment id: {status: number of operations}}, in one statement."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    grouped = Operation.objects.filter(deployment__in=[row.pk for row in rows]).order_by()
    for deployment_id, status, number in grouped.values_list("deployment", "status").annotate(Count("pk")):
        counts[deployment_id][status] = number
    return counts


def _after(act: Callable[[Caller, Deployment], Deployment], request: HttpRequest, number: int) -> shapes.DeploymentOut:
    act(caller(request), lookup.find_deployment(caller(request), number, "deploy"))
    return serialize(lookup.find_deployment(caller(request), number, "deploy"))


def _wait_for_end(deployment_id: int, seconds: float, who: Caller) -> bool:
    """Wait until the deployment has ended or the time is over, without holding a database connection.

    Return False where there is no slot to wait in, or it was given to another request.
    """
    deadline = time.monotonic() + seconds
    try:
        subscriber = event_stream.broadcaster.join(
            lambda item: item.deployment_id == deployment_id and item.kind == "deployment",
            eager=True,
            account=who.account,
        )
    except event_stream.TooManyStreams:
        return False  # every spare thread of the process, or of this caller, waits already
    try:
        while (left := deadline - time.monotonic()) > 0 and not subscriber.dropped:
            status = Deployment.objects.values_list("status", flat=True).get(pk=deployment_id)
            if status in DEPLOYMENT_ENDED:
                return True
            release_connection()
            subscriber.next(min(left, POLL_INTERVAL))
        return not subscriber.dropped
    finally:
        subscriber.close()


def _word(text: str, words: list[str], pointer: str) -> str:
    if text not in words:
        raise invalid(pointer, "not_one_of", choices=words)
    return text
