"""Services: found, made, changed and deleted under their rules. Refuses with Problem."""

import re
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.callers import SCOPES, Caller
from access.problems import Problem, conflict, forbidden, invalid, not_found
from access.rollback import rolls_back
from audit.history import record
from audit.models import Event
from deployer.engine import plans, text

from ..models import (
    NAME_PATTERN,
    Deployment,
    MicroService,
    MicroServiceInstance,
    MicroServiceVersion,
    Operation,
    Output,
    Step,
)
from ..packages import store as stored
from ..status import DEPLOYMENT_OPEN
from . import building, ownership, secrets, visibility
from .fields import errors_of, refuse, regular

SERVICE_FIELDS = (
    "name",
    "language",
    "build_orig",
    "build_url",
    "build_command",
    "build_username",
    "build_refs",
    "build_depth",
    "description",
    "start_command",
    "stop_command",
    "check_command",
    "check_timeout",
    "environment",
    "pre_command",
    "pre_undo_command",
    "post_command",
    "post_undo_command",
    "run_as",
    "private_releases",
    "encoding",
    "keep_releases",
    "limits",
    "steps",
    "auto_deploy_tag",
)


def sees(caller: Caller, service_id: int) -> bool:
    """Whether the caller may know that this service is there."""
    return any(caller.may(scope, service_id) for scope in SCOPES)


def services_of(caller: Caller) -> QuerySet[MicroService]:
    """The services that the caller may see."""
    return MicroService.objects.filter(visibility.visible(caller))


def find_service(caller: Caller, which: int | str, scope: str = "read") -> MicroService:
    """A service by its id or its name. 422 for what can be neither, 404 for what is not seen, 403 without the right."""
    name = str(which)
    if len(name) > 64 or not re.match(NAME_PATTERN, name):
        raise invalid("/path/service", "is neither an id nor a service's name")
    by = {"pk": int(name)} if name.isascii() and name.isdigit() and len(name) < 19 else {"name": name}
    service = MicroService.objects.select_related("team").filter(**by).first()
    if service is None or not sees(caller, service.pk):
        raise not_found("service")
    if not caller.may(scope, service.pk):
        raise forbidden(f"This needs the right {scope} for {service.name}.")
    return service


def create_service(caller: Caller, fields: Mapping[str, Any]) -> MicroService:
    """Makes a service of SERVICE_FIELDS and what catalog/secrets.py takes; only name is required.

    409 `service_exists` where the name is taken, 403 for what builds run without the right `build`.
    """
    team = fields.get("team")
    ownership.check_making(caller, team)
    plain = {name: regular(name, value) for name, value in fields.items() if name not in secrets.WRITE_ONLY}
    unset = MicroService()
    hidden, told = secrets.resolve(unset, fields)
    service = MicroService(**plain, **hidden, created_by=caller.name, updated_by=caller.name)
    chosen = [name for name in plain if name != "team" and getattr(service, name) != getattr(unset, name)]
    ownership.check_build(caller, [*chosen, *told], caller.may_for_team("build", team.pk if team else None))
    check_service(service)
    refuse(building.errors(service))
    try:
        with transaction.atomic():
            service.save(force_insert=True)
            record(caller, "create", "service", service, after=ownership.told(plain) | told, service=service)
    except IntegrityError as error:
        raise _name_taken(service.name) from error
    return service


@rolls_back
def change_service(caller: Caller, service: MicroService, fields: Mapping[str, Any]) -> MicroService:
    """Changes what `fields` names. The name stays once there are versions: hosts and the store have folders of it.

    A value of the environment that is None stays as it is: whoever does not see it sends that back.
    """
    plain = {name: value for name, value in fields.items() if name not in secrets.WRITE_ONLY}
    if "environment" in plain:
        plain["environment"] = visibility.restored(plain["environment"], service.environment)
    before = {name: getattr(service, name) for name in plain}
    # What is saved stays as it is where it comes back as it is, also a step from before line ends were looked at.
    changed = {name: regular(name, value) for name, value in plain.items() if before[name] != value}
    if "team" in changed:
        ownership.check_giving(caller, changed["team"])
    if "name" in changed and MicroServiceVersion.every.filter(microservice=service).exists():
        raise conflict("service_name_locked", f"{service.name} has versions, so its name stays.", "Make a new service.")
    try:
        with transaction.atomic():
            if "team" in changed:
                ownership.check_hosts(service, changed["team"])
            hidden, told = _resolved(service, fields)
            if not changed and not hidden:
                return service
            ownership.check_build(caller, [*changed, *told], caller.may("build", service.pk))
            for name, value in (changed | hidden).items():
                setattr(service, name, value)
            check_service(service)
            if {"build_orig", "build_url"} & set(changed):
                refuse(building.errors(service))
            service.updated_by = caller.name
            service.save(update_fields=[*changed, *hidden, "updated", "updated_by"])
            record(
                caller,
                "change",
                "service",
                service,
                service=service,
                after=ownership.told(changed) | told,
                before=ownership.told({name: before[name] for name in changed}),
            )
    except IntegrityError as error:
        raise _name_taken(service.name) from error
    return service


def _resolved(service: MicroService, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """As secrets.resolve, from the row as it is now: of two requests that change different secrets, both count."""
    if not set(fields) & {*secrets.WRITE_ONLY, "build_url"}:
        return {}, {}
    stored = MicroService.objects.select_for_update().filter(pk=service.pk).only("build_url", *secrets.STORED)
    row = stored.first()
    if row is None:
        raise not_found("service")
    return secrets.resolve(row, fields)


def delete_service(caller: Caller, service: MicroService) -> None:
    """Deletes a service with its versions, packages and past deployments; the history stays.

    409 while it has instances (delete those first: that stops them on their hosts) or a deployment is going on.
    """
    with transaction.atomic():
        # A write before the look: on SQLite and PostgreSQL alike nobody adds an instance or a version in between,
        # because their foreign key needs this row.
        MicroService.objects.filter(pk=service.pk).update(updated=timezone.now())
        MicroService.objects.select_for_update().filter(pk=service.pk).first()
        count = MicroServiceInstance.objects.filter(microservice=service).count()
        if count:
            raise conflict("service_in_use", f"{service.name} has {count} instances.", "Delete its instances first.")
        deployments = Deployment.objects.filter(microservice=service)
        if deployments.filter(status__in=DEPLOYMENT_OPEN).exists():
            raise conflict("service_in_use", f"A deployment of {service.name} is going on.", "Wait until it has ended.")
        _delete_past(service, deployments)
        paths = list(service.versions.exclude(file_path="").values_list("file_path", flat=True))
        MicroServiceVersion.every.filter(microservice=service).delete()
        own = stored.release(service, paths, doomed=True)
        record(caller, "delete", "service", service, before={"name": service.name})
        MicroService.objects.filter(pk=service.pk).delete()
        transaction.on_commit(lambda: stored.remove(own))


def _delete_past(service: MicroService, deployments: QuerySet[Deployment]) -> None:
    """From the leaves to the root, each kind in one statement: a thousand deployments are not loaded to be deleted."""
    operations = Operation.objects.filter(deployment__microservice=service)
    for rows in (Step, Output):
        rows.objects.filter(operation__deployment__microservice=service).delete()
    Event.objects.filter(deployment__microservice=service).delete()
    operations.update(origin=None)
    operations.delete()
    deployments.update(origin=None)
    deployments.delete()


def check_service(service: MicroService) -> None:
    """Every field's own rule; raises one 422 Problem that names all that is wrong."""
    refuse(errors_of(service, SERVICE_FIELDS) + _definition_errors(service) + secrets.clashes(service))


def _definition_errors(service: MicroService) -> list[dict]:
    errors = []
    for name, check in (
        ("steps", plans.check_steps),
        ("limits", plans.check_limits),
        ("environment", plans.check_environment),
        ("build_refs", building.check_refs),
    ):
        try:
            check(getattr(service, name))
        except ValueError as error:
            errors.append({"pointer": f"/{name}", "reason": str(error)})
    try:
        plans.check_run_as(service.run_as, service.private_releases)
    except ValueError as error:
        errors.append({"pointer": "/private_releases" if "private" in str(error) else "/run_as", "reason": str(error)})
    try:
        text.normalised(service.encoding)
    except ValueError as error:
        errors.append({"pointer": "/encoding", "reason": str(error)})
    return errors


def _name_taken(name: str) -> Problem:
    return conflict("service_exists", f"There is a service called {name} already.", "Choose another name.")
