"""Finds rows for a caller. A row that the caller may not see does not exist for them: 404."""

from django.db.models import QuerySet

from access.callers import Caller
from access.problems import not_found, refused
from microservice.catalog.visibility import operations, visible
from microservice.models import Deployment, MicroService, MicroServiceInstance, Operation, Train
from microservice.trains.rows import visible_trains


def deployments(caller: Caller) -> QuerySet[Deployment]:
    rows = Deployment.objects.select_related("microservice", "environment", "from_version", "dest_version").defer(
        "spec"
    )
    return rows.filter(visible(caller, "microservice"))


def find_deployment(caller: Caller, deployment_id: int, scope: str = "read") -> Deployment:
    """Return the deployment. 404 where the caller may not see it, 403 where the right `scope` is missing."""
    deployment = deployments(caller).filter(pk=deployment_id).first()
    if deployment is None:
        raise not_found("deployment")
    if not caller.may(scope, deployment.microservice_id):
        raise refused("forbidden.service", right=scope, service=deployment.microservice.name)
    return deployment


def find_operation(caller: Caller, operation_id: int) -> Operation:
    rows = Operation.objects.select_related("host", "deployment__microservice")  # they name the encoding of its output
    rows = rows.defer("deployment__spec", "deployment__secrets")
    operation = rows.filter(operations(caller), pk=operation_id).first()
    if operation is None:
        raise not_found("operation")
    return operation


def find_train(caller: Caller, train_id: int) -> Train:
    train = visible_trains(caller).filter(pk=train_id).first()
    if train is None:
        raise not_found("train")
    return train


def find_instance(service: MicroService, instance_id: int) -> MicroServiceInstance:
    """Return an instance of this service; 404 for that of another."""
    rows = service.instances.select_related("host__environment", "version", "lock_deployment", "microservice")
    instance = rows.filter(pk=instance_id).first()
    if instance is None:
        raise not_found("instance")
    return instance
