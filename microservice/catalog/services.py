"""Finds, creates, changes and deletes services. Every rule that is broken raises a Problem."""

import re
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.callers import SCOPES, Caller
from access.problems import FieldError, Problem, invalid, not_found, refused
from access.rollback import rolls_back
from asset.models import Environment
from asset.strategy import InvalidStrategy, Strategy
from audit.history import record
from audit.models import Event
from deployer.engine import spec, text
from runtime.ids import parse_id

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
from ..packages import store
from ..status import DEPLOYMENT_OPEN, DeploymentStatus
from . import building, links, ownership, recipes, secrets, visibility
from .fields import errors_of, normalised, reason_of, refuse

SERVICE_FIELDS = (
    "name",
    "language",
    "build_orig",
    "build_url",
    "build_command",
    "build_username",
    "build_refs",
    "build_depth",
    "recipe",
    "description",
    *links.LINKS,
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
    "default_strategy",
    "auto_deploy_tag",
    "auto_deploy_environment",
    "auto_deploy_refs",
    "auto_deploy_strategy",
)


def sees(caller: Caller, service_id: int) -> bool:
    """Return whether the caller may know that this service exists."""
    return any(caller.may(scope, service_id) for scope in SCOPES)


def services_of(caller: Caller) -> QuerySet[MicroService]:
    """Return the services that the caller may see."""
    return MicroService.objects.filter(visibility.visible(caller))


def find_service(caller: Caller, which: int | str, scope: str = "read") -> MicroService:
    """Return a service by its id or name. Raise 422 where it can be neither, 404 where it is not visible, 403 without
    the right `scope`."""
    name = str(which)
    if len(name) > 64 or not re.match(NAME_PATTERN, name):
        raise invalid("/path/service", "service_syntax")
    number = parse_id(name)
    by = {"name": name} if number is None else {"pk": number}
    service = MicroService.objects.select_related("team", "auto_deploy_environment").filter(**by).first()
    if service is None or not sees(caller, service.pk):
        raise not_found("service")
    if not caller.may(scope, service.pk):
        raise refused("forbidden.service", right=scope, service=service.name)
    return service


def create_service(caller: Caller, fields: Mapping[str, Any]) -> MicroService:
    """Create a service of SERVICE_FIELDS and secrets.WRITE_ONLY; only the name is required.

    Raise 409 `service_exists` where the name is taken, 403 for ownership.BUILD_FIELDS without the right `build`.
    """
    team = fields.get("team")
    ownership.check_create(caller, team)
    plain = {name: normalised(name, value) for name, value in fields.items() if name not in secrets.WRITE_ONLY}
    unset = MicroService()
    hidden, secret_changes = secrets.resolve(unset, fields)
    service = MicroService(**plain, **hidden, created_by=caller.name, updated_by=caller.name)
    chosen = [name for name in plain if name != "team" and getattr(service, name) != getattr(unset, name)]
    ownership.check_build(caller, [*chosen, *secret_changes], caller.may_for_team("build", team.pk if team else None))
    check_service(service)
    refuse(building.errors(service))
    try:
        with transaction.atomic():
            service.save(force_insert=True)
            after = ownership.as_json(plain) | secret_changes
            record(caller, "create", "service", service, after=after, service=service)
    except IntegrityError as error:
        raise _clash(service) from error
    return service


@rolls_back
def change_service(caller: Caller, service: MicroService, fields: Mapping[str, Any]) -> MicroService:
    """Change the named fields. A service with versions cannot be renamed: hosts and the store have folders of the name.

    A value of the environment that is None stays as it is: callers who may not see it send None back.
    """
    plain = {name: value for name, value in fields.items() if name not in secrets.WRITE_ONLY}
    if "environment" in plain:
        plain["environment"] = visibility.with_hidden_values(plain["environment"], service.environment)
    before = {name: getattr(service, name) for name in plain}
    # A stored value that is sent back unchanged stays as it is, also a step from before line ends were normalised.
    changed = {name: normalised(name, value) for name, value in plain.items() if before[name] != value}
    if "team" in changed:
        ownership.check_assign(caller, changed["team"])
    if "name" in changed and MicroServiceVersion.every.filter(microservice=service).exists():
        raise refused("service_name_locked", service=service.name)
    try:
        with transaction.atomic():
            if "team" in changed:
                ownership.check_hosts(service, changed["team"])
            hidden, secret_changes = _resolved(service, fields)
            if not changed and not hidden:
                return service
            ownership.check_build(caller, [*changed, *secret_changes], caller.may("build", service.pk))
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
                after=ownership.as_json(changed) | secret_changes,
                before=ownership.as_json({name: before[name] for name in changed}),
            )
    except IntegrityError as error:
        raise _clash(service) from error
    return service


def _resolved(service: MicroService, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call secrets.resolve with the locked row: of two requests that change different secrets, both count."""
    if not set(fields) & {*secrets.WRITE_ONLY, "build_url"}:
        return {}, {}
    rows = MicroService.objects.select_for_update().filter(pk=service.pk).only("build_url", *secrets.STORED)
    row = rows.first()
    if row is None:
        raise not_found("service")
    return secrets.resolve(row, fields)


def delete_service(caller: Caller, service: MicroService) -> None:
    """Delete a service with its versions, packages and past deployments; the history stays.

    Raise 409 while it has instances (delete those first: that stops them on their hosts) or an open deployment.
    """
    with transaction.atomic():
        # Write before reading: neither on SQLite nor on PostgreSQL can an instance or a version be added in between,
        # because its foreign key needs this row.
        MicroService.objects.filter(pk=service.pk).update(updated=timezone.now())
        MicroService.objects.select_for_update().filter(pk=service.pk).first()
        count = MicroServiceInstance.objects.filter(microservice=service).count()
        if count:
            raise refused("service_in_use.instances", service=service.name, count=count)
        deployments = Deployment.objects.filter(microservice=service)
        if deployments.filter(status__in=DEPLOYMENT_OPEN | {DeploymentStatus.WAITING}).exists():
            raise refused("service_in_use.deployment", service=service.name)
        _delete_deployments(service, deployments)
        paths = list(service.versions.exclude(file_path="").values_list("file_path", flat=True))
        MicroServiceVersion.every.filter(microservice=service).delete()
        own = store.release(service, paths, doomed=True)
        record(caller, "delete", "service", service, before={"name": service.name})
        MicroService.objects.filter(pk=service.pk).delete()
        transaction.on_commit(lambda: store.remove(own))


def _delete_deployments(service: MicroService, deployments: QuerySet[Deployment]) -> None:
    """Delete from the leaves to the root, each table in one statement: thousands of rows must not be loaded."""
    operations = Operation.objects.filter(deployment__microservice=service)
    for rows in (Step, Output):
        rows.objects.filter(operation__deployment__microservice=service).delete()
    Event.objects.filter(deployment__microservice=service).delete()
    operations.update(origin=None)
    operations.delete()
    deployments.update(origin=None)
    deployments.delete()


def check_service(service: MicroService) -> None:
    """Check every field; raises one 422 Problem with everything that is wrong."""
    refuse(errors_of(service, SERVICE_FIELDS) + _definition_errors(service) + secrets.clashes(service))


def _definition_errors(service: MicroService) -> list[FieldError]:
    errors = building.refs_errors(service.build_refs, "/build_refs")
    errors += building.refs_errors(service.auto_deploy_refs, "/auto_deploy_refs")
    errors += links.errors(service)
    errors += recipes.errors(service.recipe, has_repository=bool(service.build_url))
    for name, check in (
        ("steps", spec.check_steps),
        ("limits", spec.check_limits),
        ("environment", spec.check_environment),
        ("encoding", text.normalised),
    ):
        try:
            check(getattr(service, name))
        except ValueError as error:
            errors.append(FieldError(f"/{name}", reason_of(error)))
    for name in ("default_strategy", "auto_deploy_strategy"):
        try:
            Strategy.parse(getattr(service, name))
        except InvalidStrategy as error:
            errors.append(FieldError(f"/{name}{error.path}", error.reason))
    try:
        spec.check_run_as(service.run_as, service.private_releases)
    except ValueError as error:
        pointer = "/private_releases" if service.private_releases and not service.run_as else "/run_as"
        errors.append(FieldError(pointer, reason_of(error)))
    return errors


def _clash(service: MicroService) -> Problem:
    """Return why the database refused the row: its environment is gone, or its name is taken."""
    environment = service.auto_deploy_environment_id
    if environment and not Environment.objects.filter(pk=environment).exists():
        return invalid("/auto_deploy_environment", "no_such_environment")
    return refused("service_exists", service=service.name)
