"""Finds what a caller asks for, among what the caller may see: what is not seen is not there (404)."""

from django.db.models import QuerySet

from access.callers import Caller
from access.problems import forbidden, not_found
from microservice.catalog.visibility import operations, visible
from microservice.models import Deployment, MicroService, MicroServiceInstance, Operation


def deployments(caller: Caller) -> QuerySet[Deployment]:
    found = Deployment.objects.select_related("microservice", "from_version", "dest_version").defer("spec")
    return found.filter(visible(caller, "microservice"))


def find_deployment(caller: Caller, deployment_id: int, scope: str = "read") -> Deployment:
    """404 for what is not seen, 403 for what is seen without the right."""
    found = deployments(caller).filter(pk=deployment_id).first()
    if found is None:
        raise not_found("deployment")
    if not caller.may(scope, found.microservice_id):
        raise forbidden(f"This needs the right {scope} for {found.microservice.name}.")
    return found


def find_operation(caller: Caller, operation_id: int) -> Operation:
    rows = Operation.objects.select_related("host", "deployment__microservice")  # which say how its output is read
    rows = rows.defer("deployment__spec", "deployment__secrets")
    operation = rows.filter(operations(caller), pk=operation_id).first()
    if operation is None:
        raise not_found("operation")
    return operation


def find_instance(service: MicroService, instance_id: int) -> MicroServiceInstance:
    """An instance of this very service; another's is not there."""
    rows = service.instances.select_related("host", "version", "lock_deployment", "microservice")
    instance = rows.filter(pk=instance_id).first()
    if instance is None:
        raise not_found("instance")
    return instance
