"""/services/{service}/instances/: the instances of a service, and the requests to change them."""

from ipaddress import ip_address
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.problems import invalid
from asset import environments, labels
from asset.models import Asset
from messages.invalid import InvalidValue
from microservice import catalog, instances
from microservice.deployments import actions
from microservice.deployments.version_change import parse_action
from microservice.models import Deployment, MicroService, MicroServiceInstance
from microservice.status import InstanceStatus
from runtime.ids import parse_id

from .. import paging
from ..auth import caller, needs
from ..lookup import find_instance
from ..schemas import base
from ..schemas import instances as shapes
from ..schemas.deployment_requests import (
    DeleteRequest,
    DeployRequest,
    ForgetRequest,
    InstallRequest,
    InstanceUpdate,
    RetryInstancesRequest,
    UnlockRequest,
    VersionChangeRequest,
)
from ..schemas.deployments import DeploymentOut
from .deployments import accepted

router = Router()

LOCKED = {"1": True, "true": True, "0": False, "false": False}


@router.get("/services/{service}/instances/", response=shapes.InstanceList, summary="List instances")
@needs("read")
def list_instances(
    request: HttpRequest,
    service: str,
    query: paging.Page,
    version_id: base.Id | None = None,
    locked: str = Query("", description="0, 1, true or false"),
    status: str = Query("", description="Number or word"),
    host: str = Query("", description="A host's id (digits alone), name or address"),
    label: str = Query("", description="Labels of their hosts: zone=eu, or zone for any value; several with blanks"),
    group: str = Query("", description="A host group's name"),
    environment: str = Query("", description="The name or id of their hosts' environment; 0: in none"),
) -> shapes.InstanceList:
    """List the instances of a service, oldest first."""
    row = catalog.find_service(caller(request), service)
    rows = MicroServiceInstance.objects.filter(microservice=row)
    if version_id is not None:
        rows = rows.filter(version=version_id)
    if locked:
        rows = rows.filter(locked=_locked(locked))
    if status:
        rows = rows.filter(status=_status(status))
    if host:
        rows = rows.filter(_is_on(host))
    rows = rows.filter(environments.meant(environment, "host__environment"))
    for selector in labels.query(label, group):
        rows = rows.filter(host__in=labels.find(selector, Asset.objects.filter(instances__microservice=row)))
    return paging.page(query, _whole(rows), "id").answer(shapes.InstanceList, shapes.instance)


@router.get("/services/{service}/instances/{id}", response=shapes.InstanceOut, summary="Get an instance")
@needs("read")
def get_instance(request: HttpRequest, service: str, id: base.PathId) -> shapes.InstanceOut:
    """Return an instance."""
    return shapes.instance(find_instance(catalog.find_service(caller(request), service), id))


@router.patch("/services/{service}/instances/{id}", response=shapes.InstanceOut, summary="Update an instance")
@needs("deploy")
def change_instance(request: HttpRequest, service: str, id: base.PathId, body: InstanceUpdate) -> shapes.InstanceOut:
    """Change the named fields. Port, tag and weight cannot change during an operation, whose commands see them."""
    instance = find_instance(catalog.find_service(caller(request), service, "deploy"), id)
    return shapes.instance(instances.change(caller(request), instance, body.given()))


@router.post(
    "/services/{service}/instances/{id}/unlock",
    response=shapes.InstanceOut,
    summary="Force-unlock an instance",
)
@needs("deploy")
def unlock_instance(request: HttpRequest, service: str, id: base.PathId, body: UnlockRequest) -> shapes.InstanceOut:
    """Force-unlock an instance; the history keeps who did it and why. The host's fence still stops a late operation."""
    row = catalog.find_service(caller(request), service, "deploy")
    actions.break_lock(caller(request), find_instance(row, id), body.reason)
    return shapes.instance(find_instance(row, id))


@router.post("/services/{service}/instances/delete", response={202: DeploymentOut}, summary="Delete instances")
@needs("deploy")
def delete_instances(
    request: HttpRequest, service: str, body: DeleteRequest, response: HttpResponse
) -> Status[DeploymentOut]:
    """Stop instances on their hosts and remove them there, then here."""
    row = catalog.find_service(caller(request), service, "deploy")
    return accepted(actions.delete(caller(request), row, body.ids, note=body.note, when=body.when), response)


@router.post("/services/{service}/instances/forget", response=shapes.ForgottenList, summary="Forget instances")
@needs("deploy")
def forget_instances(request: HttpRequest, service: str, body: ForgetRequest) -> shapes.ForgottenList:
    """Remove instances whose hosts are gone for good, without contacting them. Deployments and history stay.

    Open operations on them end, including retried deletes. What still runs on a host continues, unmanaged; if the host
    returns, install again or with `adopt`: the fence stops a late operation of the old instance.
    """
    row = catalog.find_service(caller(request), service, "deploy")
    forgotten = actions.forget(caller(request), row, body.ids, body.reason)
    data = [shapes.ForgottenOut.model_construct(**instance) for instance in forgotten]
    return shapes.ForgottenList.model_construct(data=data, count=len(data), code=0)


@router.post("/services/{service}/instances/retry", response={202: DeploymentOut}, summary="Retry instances")
@needs("deploy")
def retry_instances(
    request: HttpRequest, service: str, body: RetryInstancesRequest, response: HttpResponse
) -> Status[DeploymentOut]:
    """Repeat the failed operation of each instance, toward the same version."""
    row = catalog.find_service(caller(request), service, "deploy")
    options = body.model_dump(include={"allow_bad", "force", "note"})
    return accepted(actions.retry_instances(caller(request), row, body.ids, **options, when=body.when), response)


@router.get("/services/{service}/versions/{id}/{action}", response=shapes.ChoiceList, summary="List target versions")
@needs("read")
def list_choices(
    request: HttpRequest,
    service: str,
    id: base.PathId,
    action: str,
    environment: str = Query("", description="An environment's name: what may go there"),
) -> shapes.ChoiceList:
    """List the successful builds of a service, newest first, and whether `action` may go to each from this version."""
    version = catalog.find_version(catalog.find_service(caller(request), service), id)
    destinations = actions.list_destinations(version, parse_action(action), environment or None)
    data = [shapes.ChoiceOut.model_construct(**row) for row in destinations]
    return shapes.ChoiceList.model_construct(data=data, count=len(data), code=0)


@router.post(
    "/services/{service}/versions/{id}/{action}",
    response={202: DeploymentOut, 200: dict},
    summary="Upgrade or revert instances",
)
@needs("deploy")
def upgrade_or_revert(
    request: HttpRequest,
    service: str,
    id: base.PathId,
    action: str,
    body: VersionChangeRequest,
    response: HttpResponse,
) -> Status[DeploymentOut] | Status[dict[str, Any]]:
    """Upgrade or revert the instances that run this version: on `host` ("all", ids or names) or `instances` (ids).

    `dry_run` answers 200 with the plan instead.
    """
    version = catalog.find_version(catalog.find_service(caller(request), service, "deploy"), id)
    change = body.as_change(version, action)
    if body.dry_run:
        return Status(200, actions.preview(caller(request), change).as_json())
    return accepted(actions.change_version(caller(request), change), response)


@router.post("/services/{service}/deploy", response={202: DeploymentOut, 200: dict}, summary="Deploy a version")
@needs("deploy")
def deploy(
    request: HttpRequest, service: str, body: DeployRequest, response: HttpResponse
) -> Status[DeploymentOut] | Status[dict[str, Any]]:
    """Take the instances on `host` ("all", ids or names), or `instances` (ids), to one version: each that runs an older
    one is upgraded, each that runs a newer one reverted, in one deployment.

    Where all of them run it already, the answer is 200 with `already_there`. `dry_run` answers 200 with the plan.
    """
    row = catalog.find_service(caller(request), service, "deploy")
    change = body.as_change(row)
    if body.dry_run:
        return Status(200, actions.preview(caller(request), change).as_json())
    deployment = actions.deploy(caller(request), change)
    return _accepted_or_there(deployment, row, body.version, response)


@router.post(
    "/services/{service}/versions/{id}/install",
    response={202: DeploymentOut, 200: dict},
    summary="Install a version",
)
@needs("deploy")
def install(
    request: HttpRequest, service: str, id: base.PathId, body: InstallRequest, response: HttpResponse
) -> Status[DeploymentOut] | Status[dict[str, Any]]:
    """Install a version on hosts that do not have the service yet, or where the first install failed.

    Where all of them have it, `skip_installed` answers 200 with `already_there`. `dry_run` answers 200 with the plan.
    """
    version = catalog.find_version(catalog.find_service(caller(request), service, "deploy"), id)
    installation = body.as_installation(version)
    if body.dry_run:
        return Status(200, actions.preview_install(caller(request), installation).as_json())
    request_install = actions.install_missing if body.skip_installed else actions.install
    deployment = request_install(caller(request), installation)
    return _accepted_or_there(deployment, version.microservice, version.version, response)


def _accepted_or_there(
    deployment: Deployment | None, service: MicroService, version: int | str, response: HttpResponse
) -> Status[DeploymentOut] | Status[dict[str, Any]]:
    if deployment is None:
        return Status(200, {"already_there": True, "service": service.name, "version": version, "code": 0})
    return accepted(deployment, response)


def _whole(rows: QuerySet[MicroServiceInstance]) -> QuerySet[MicroServiceInstance]:
    return rows.select_related(
        "microservice", "host__environment", "version", "previous_version", "lock_deployment"
    ).defer("host__host_key", "host__offered_key", "lock_deployment__skipped", "lock_deployment__spec")


def _locked(text: str) -> bool:
    if text.lower() not in LOCKED:
        raise invalid("/query/locked", "switch")
    return LOCKED[text.lower()]


def _status(text: str) -> int:
    try:
        return base.number_or_word(InstanceStatus)(text)
    except InvalidValue as error:
        raise invalid("/query/status", error.reason) from error


def _is_on(host: str) -> Q:
    """Return the condition for a host by its id (digits alone), its name or its address.

    PostgreSQL compares an address with nothing but a valid address.
    """
    if host.isascii() and host.isdigit():
        return Q(host=number) if (number := parse_id(host)) else Q(pk__in=[])
    named = Q(host__hostname=host)
    try:
        return named | Q(host__ip=str(ip_address(host)))
    except ValueError:
        return named
