"""/trains/: versions of several services that are deployed in stages, one after the other."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.callers import Caller
from access.problems import invalid
from microservice import catalog
from microservice.models import Train, TrainPart
from microservice.status import TrainStatus
from microservice.trains import control
from microservice.trains.overview import overview
from microservice.trains.requests import preview_train, start_train
from microservice.trains.rows import visible_trains

from .. import lookup, paging
from ..auth import caller, needs
from ..schemas import base
from ..schemas import trains as shapes

router = Router()


@router.get("/trains/", response=shapes.TrainList, summary="List release trains")
@needs("read")
def list_trains(
    request: HttpRequest,
    query: paging.Page,
    status: str = "",
    service: str = Query("", description="Id or name"),
    environment: str = Query("", description="An environment's name"),
) -> shapes.TrainList:
    """List the trains, newest first: those whose services the caller may see, all of them."""
    who = caller(request)
    rows = visible_trains(who)
    if status and status not in TrainStatus.values:
        raise invalid("/query/status", "not_one_of", choices=TrainStatus.values)
    if status:
        rows = rows.filter(status=status)
    if service:
        of_service = TrainPart.objects.filter(service=catalog.find_service(who, service))
        rows = rows.filter(pk__in=of_service.order_by().values("train"))
    if environment:
        rows = rows.filter(environment_name=environment)
    page = paging.page(query, rows)
    stages = overview(page.rows)
    return page.answer(shapes.TrainList, lambda row: shapes.train(row, stages[row.pk]))


@router.post("/trains/", response={201: shapes.TrainOut, 200: dict}, summary="Start a release train")
@needs("deploy")
def start(
    request: HttpRequest, body: shapes.TrainCreate, response: HttpResponse
) -> Status[shapes.TrainOut] | Status[dict[str, Any]]:
    """Start a train. Its deployments are ordinary ones: promotion, approvals, freezes and locks apply to each, and a
    stage waits while one of its deployments does. `dry_run`: 200 with the plans of all stages.

    The services that are deployed must all be the caller's to deploy, also when a later stage begins.
    """
    if body.dry_run:
        return Status(200, preview_train(caller(request), body.as_request()).as_json())
    made = start_train(caller(request), body.as_request())
    response["Location"] = f"/api/v1/trains/{made.pk}"
    return Status(201, serialize(made))


@router.get("/trains/{id}", response=shapes.TrainOut, summary="Get a release train")
@needs("read")
def get_train(request: HttpRequest, id: base.PathId) -> shapes.TrainOut:
    """Return a train with all its stages."""
    return serialize(lookup.find_train(caller(request), id))


@router.post("/trains/{id}/cancel", response=shapes.TrainOut, summary="Cancel a release train")
@needs("deploy")
def cancel(request: HttpRequest, id: base.PathId) -> shapes.TrainOut:
    """Begin nothing more, and cancel its deployments that are under way. What succeeded stays."""
    return _after(control.cancel, request, id)


@router.post("/trains/{id}/resume", response=shapes.TrainOut, summary="Resume a release train")
@needs("deploy")
def resume(request: HttpRequest, id: base.PathId) -> shapes.TrainOut:
    """Go on where it was held: what did not succeed of its stage is deployed again. A train that was going back goes
    further back. From then on it acts with the rights of the caller."""
    return _after(control.resume, request, id)


@router.post("/trains/{id}/revert", response=shapes.TrainOut, summary="Revert a release train")
@needs("deploy")
def revert(request: HttpRequest, id: base.PathId) -> shapes.TrainOut:
    """Send back what it did, last stage first. What is under way is cancelled before."""
    return _after(control.revert, request, id)


def serialize(train: Train) -> shapes.TrainOut:
    return shapes.train(train, overview([train])[train.pk])


def _after(act: Callable[[Caller, Train], Train], request: HttpRequest, number: int) -> shapes.TrainOut:
    who = caller(request)
    act(who, lookup.find_train(who, number))
    return serialize(lookup.find_train(who, number))
