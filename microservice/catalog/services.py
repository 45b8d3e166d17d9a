"""Services and their versions: found, made, changed and deleted under their rules. Refuses with Problem."""
import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.callers import SCOPES, Caller
from access.problems import Problem, conflict, forbidden, invalid, not_found
from callbacks import outbox
from deployer.engine import plans

from .. import following
from ..history import record
from ..models import (
    NAME_PATTERN,
    Deployment,
    Event,
    MicroService,
    MicroServiceInstance,
    MicroServiceVersion,
    Operation,
    Output,
    Step,
)
from ..status import BUILD_TRANSITIONS, DEPLOYMENT_OPEN, BuildStatus, may_become
from . import ownership
from .visibility import visible

SERVICE_FIELDS = (
    "name", "language", "build_orig", "build_url", "build_command", "description", "start_command", "stop_command",
    "check_command", "check_timeout", "environment", "pre_command", "pre_undo_command", "post_command",
    "post_undo_command", "keep_releases", "limits", "steps", "auto_deploy",
)
VERSION_FIELDS = ("version", "ref", "description", "status", "file_path")
VERSION_CHANGES = ("status", "description", "file_path", "bad", "bad_reason")
# C0 and C1 control characters; commands may hold new lines and tabs.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_COMMAND = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


# --- finding ----------------------------------------------------------------------------------------------------------


def sees(caller: Caller, service_id: int) -> bool:
    """Whether the caller may know that this service is there."""
    return any(caller.may(scope, service_id) for scope in SCOPES)


def services_of(caller: Caller) -> QuerySet[MicroService]:
    """The services that the caller may see."""
    return MicroService.objects.filter(visible(caller))


def find_service(caller: Caller, which: int | str, scope: str = "read") -> MicroService:
    """A service by its id or its name. 422 for what can be neither, 404 for what is not seen, 403 without the right."""
    text = str(which)
    if len(text) > 64 or not re.match(NAME_PATTERN, text):
        raise invalid("/path/service", "is neither an id nor a service's name")
    by = {"pk": int(text)} if text.isascii() and text.isdigit() and len(text) < 19 else {"name": text}
    service = MicroService.objects.select_related("team").filter(**by).first()
    if service is None or not sees(caller, service.pk):
        raise not_found("service")
    if not caller.may(scope, service.pk):
        raise forbidden(f"This needs the right {scope} for {service.name}.")
    return service


def find_version(service: MicroService, version_id: int, pointer: str = "") -> MicroServiceVersion:
    """A version of this very service by its id; another service's is not there. `pointer`: 422 there instead of 404."""
    version = service.versions.filter(pk=version_id).first()
    if version is None:
        raise invalid(pointer, f"is no version of {service.name}") if pointer else not_found("version")
    version.microservice = service
    return version


# --- services ---------------------------------------------------------------------------------------------------------


def create_service(caller: Caller, fields: Mapping[str, Any]) -> MicroService:
    """Makes a service of SERVICE_FIELDS; only name is required. 409 `service_exists` where the name is taken."""
    ownership.check_making(caller, fields.get("team"))
    service = MicroService(**fields, created_by=caller.name, updated_by=caller.name)
    check_service(service)
    try:
        with transaction.atomic():
            service.save(force_insert=True)
            record(caller, "create", "service", service, after=ownership.told(fields), service=service)
    except IntegrityError as error:
        raise _name_taken(service.name) from error
    return service


def change_service(caller: Caller, service: MicroService, fields: Mapping[str, Any]) -> MicroService:
    """Changes what `fields` names. The name stays once there are versions: hosts and the store have folders of it."""
    before = {name: getattr(service, name) for name in fields}
    changed = {name: value for name, value in fields.items() if before[name] != value}
    if not changed:
        return service
    if "team" in changed:
        ownership.check_giving(caller, changed["team"])
    if "name" in changed and service.versions.exists():
        raise conflict("service_named", f"{service.name} has versions, so its name stays.", "Make a new service.")
    for name, value in changed.items():
        setattr(service, name, value)
    check_service(service)
    service.updated_by = caller.name
    try:
        with transaction.atomic():
            service.save(update_fields=[*changed, "updated", "updated_by"])
            record(caller, "change", "service", service, service=service, after=ownership.told(changed),
                   before=ownership.told({name: before[name] for name in changed}))
    except IntegrityError as error:
        raise _name_taken(service.name) from error
    return service


def delete_service(caller: Caller, service: MicroService) -> None:
    """Deletes a service with its versions, packages and past deployments; the history stays.

    409 while it has instances (delete those first: that stops them on their hosts) or a deployment is going on.
    """
    from ..packages import intake

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
        service.versions.all().delete()
        record(caller, "delete", "service", service, before={"name": service.name})
        MicroService.objects.filter(pk=service.pk).delete()
        transaction.on_commit(lambda: intake.remove(paths))


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
    errors = _field_errors(service, SERVICE_FIELDS)
    errors += _definition_errors(service)
    if errors:
        raise _invalid(errors)


def _definition_errors(service: MicroService) -> list[dict]:
    errors = []
    for name, check in (("steps", plans.check_steps), ("limits", plans.check_limits),
                        ("environment", plans.check_environment)):
        try:
            check(getattr(service, name))
        except ValueError as error:
            errors.append({"pointer": f"/{name}", "reason": str(error)})
    return errors


def _name_taken(name: str) -> Problem:
    return conflict("service_exists", f"There is a service called {name} already.", "Choose another name.")


# --- versions ---------------------------------------------------------------------------------------------------------


def create_version(
    caller: Caller, service: MicroService, fields: Mapping[str, Any]
) -> tuple[MicroServiceVersion, bool]:
    """Makes a version of VERSION_FIELDS; returns it and whether it is new.

    The same again finds the one that is there (its build may have moved on since); other content is a 409
    `version_exists`.
    """
    version = MicroServiceVersion(microservice=service, **fields, created_by=caller.name)
    errors = _field_errors(version, VERSION_FIELDS)
    if errors:
        raise _invalid(errors)
    try:
        with transaction.atomic():
            version.save(force_insert=True)
            record(caller, "create", "version", version, after=dict(fields), service=service)
        return version, True
    except IntegrityError as error:
        there = service.versions.filter(version=version.version).first()
        if there is None:  # the service itself was deleted meanwhile
            raise not_found("service") from error
    differing = _differing(there, version)
    if differing:
        raise conflict("version_exists", f"{version.version} is there already with another {', '.join(differing)}.",
                       "Versions are never edited: choose another name.",
                       [{"pointer": f"/{name}", "reason": "differs from what is there"} for name in differing])
    return there, False


def _differing(there: MicroServiceVersion, asked: MicroServiceVersion) -> list[str]:
    same_status = there.status == asked.status or _leads_to(BuildStatus(asked.status), BuildStatus(there.status))
    same = {
        "ref": there.ref == asked.ref,
        "description": there.description == asked.description,
        "status": same_status,
        "file_path": asked.file_path in ("", there.file_path),
    }
    return [name for name, is_same in same.items() if not is_same]


def _leads_to(start: BuildStatus, end: BuildStatus) -> bool:
    return any(step == end or _leads_to(step, end) for step in BUILD_TRANSITIONS.get(start, {}))


def change_version(caller: Caller, version: MicroServiceVersion, fields: Mapping[str, Any]) -> MicroServiceVersion:
    """Changes some of VERSION_CHANGES. A status goes only where BUILD_TRANSITIONS lets it; what is built stays."""
    before = {name: getattr(version, name) for name in VERSION_CHANGES}
    after = {**before, **fields}
    if not after["bad"]:
        after["bad_reason"] = ""
    changed = {name: value for name, value in after.items() if before[name] != value}
    if not changed:
        return version
    old = BuildStatus(version.status)
    _check_version_change(version, changed)
    for name, value in changed.items():
        setattr(version, name, value)
    errors = _field_errors(version, VERSION_CHANGES)
    if errors:
        raise _invalid(errors)
    with transaction.atomic():
        # Conditional on the status that was looked at: of two that race, the second finds the build moved on.
        unmoved = MicroServiceVersion.objects.filter(pk=version.pk, status=old, file_path=before["file_path"])
        if not unmoved.update(**changed):
            raise conflict("build_moved_on", f"{version.version} was changed at the same moment.", "Look again.")
        record(caller, "change", "version", version, before={name: before[name] for name in changed}, after=changed,
               reason=str(changed.get("bad_reason", "")), service=version.microservice)
        if changed.get("status") == BuildStatus.SUCCESS:
            following.built(version)
        if "status" in changed and version.status not in BUILD_TRANSITIONS:
            outbox.build_ended(version)
    return version


def mark_bad(caller: Caller, version: MicroServiceVersion, reason: str) -> None:
    """Marks a version that was left as bad, so that nothing goes to it any more. 422 without a reason."""
    if not reason.strip():
        raise invalid("/reason", "must say why the version is bad")
    if not version.bad:
        change_version(caller, version, {"bad": True, "bad_reason": reason})


def _check_version_change(version: MicroServiceVersion, changed: Mapping[str, Any]) -> None:
    old = BuildStatus(version.status)
    if "status" in changed:
        new = BuildStatus(changed["status"])
        if not may_become(BUILD_TRANSITIONS, old, new):
            raise conflict("build_status", f"A build that is {old.label} does not become {new.label}.",
                           errors=[{"pointer": "/status", "reason": f"is {old.label}"}])
    if "file_path" in changed and (version.sha256 or old not in BUILD_TRANSITIONS):
        raise conflict("version_built", f"{version.version} is built; its package stays as it is.",
                       "Publish another version.")


# --- fields -----------------------------------------------------------------------------------------------------------


def _field_errors(row: MicroService | MicroServiceVersion, names: tuple[str, ...]) -> list[dict]:
    """What the models' validators say, and what no text may hold: [{"pointer", "reason"}]."""
    errors = []
    every = {field.name for field in row._meta.fields}
    try:
        row.clean_fields(exclude=every - set(names))
    except ValidationError as error:
        errors = [{"pointer": f"/{name}", "reason": str(reason)}
                  for name, reasons in error.message_dict.items() for reason in reasons]
    for name in names:
        reason = _text_reason(name, getattr(row, name))
        if reason:
            errors.append({"pointer": f"/{name}", "reason": reason})
    return errors


def _text_reason(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if name.endswith("_command"):
        if len(value) > plans.LONGEST_COMMAND:
            return f"is longer than {plans.LONGEST_COMMAND} characters"
        return "holds a control character (lines end with LF)" if _CONTROL_IN_COMMAND.search(value) else ""
    if _CONTROL.search(value):
        return "holds a control character"
    if name == "file_path" and (value.startswith("/") or {"..", "."} & set(value.split("/")) or "\\" in value):
        return "must be a path inside the store"
    return ""


def _invalid(errors: list[dict]) -> Problem:
    problem = invalid(errors[0]["pointer"], errors[0]["reason"])
    problem.errors = errors
    return problem
