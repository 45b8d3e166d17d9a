"""A release: three services in staging, and what its tests ask of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from access.callers import Caller
from asset.models import Asset, Environment
from microservice import notify
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Train
from microservice.status import DeploymentStatus, OperationStatus
from microservice.trains import advance
from microservice.trains.requests import start_train
from microservice.trains.values import Entry, TrainRequest
from tests import factories
from tests.microservice.deployments.requests import end_all
from worker.results import OperationResult, record_results

NAMES = ("api", "shop", "web")


class Release(NamedTuple):
    """Three services whose versions 1.0 run on two hosts in staging, and 2.0 is built; and an administrator."""

    environment: Environment
    versions: dict[str, list[MicroServiceVersion]]  # of each service, oldest first
    caller: Caller

    def request(self, *stages: str, **more: Any) -> TrainRequest:
        """Return a request for version 2.0 of the services that each stage names, between blanks."""
        named = tuple(tuple(Entry(name, "2.0") for name in stage.split()) for stage in stages)
        return TrainRequest(**{"name": "autumn", "environment": "staging", "stages": named} | more)

    def start(self, *stages: str, **more: Any) -> Train:
        return start_train(self.caller, self.request(*stages, **more))

    def runs(self, name: str) -> set[str]:
        rows = MicroServiceInstance.objects.filter(microservice__name=name)
        return set(rows.values_list("version__version", flat=True))


@pytest.fixture
def release(db: Any) -> Release:
    environment = Environment.objects.create(name="staging")
    versions = {}
    hosts = factories.hosts(2)
    Asset.objects.update(environment=environment)
    for name in NAMES:
        versions[name] = factories.versions(factories.service(name), 3)
        factories.instances(versions[name][0], hosts)
    user = get_user_model().objects.create_superuser("ann")
    return Release(environment, versions, Caller(name="ann", user_id=user.pk, scopes=frozenset({"deploy", "admin"})))


@pytest.fixture
def end(django_capture_on_commit_callbacks: Any) -> Callable[..., None]:
    """Return a function that ends every deployment that is under way, or those of one service, as workers would."""

    def act(status: OperationStatus = OperationStatus.SUCCEEDED, name: str = "") -> None:
        rows = Deployment.objects.filter(finished=None, **{"microservice__name": name} if name else {})
        with django_capture_on_commit_callbacks(execute=True):
            for row in rows.order_by("pk"):
                end_all(row, status)

    return act


def end_each(deployment: Deployment, *status: OperationStatus) -> None:
    """End each operation of a deployment with its own status, as workers would."""
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    deployment.operations.update(status=OperationStatus.RUNNING)
    rows = deployment.operations.select_related("deployment", "host").order_by("pk")
    ends = [OperationResult(row, one) for row, one in zip(rows, status, strict=True)]
    with transaction.atomic():
        notify.publish(record_results(ends))


def names(train: Train) -> list[str]:
    """Return the services of the deployments that a train started, oldest first, with their actions."""
    rows = Deployment.objects.filter(train_start__part__train=train).order_by("pk")
    return [f"{row.action} {row.microservice.name}" for row in rows.select_related("microservice")]


def again(train: Train) -> Train:
    advance.sweep()
    train.refresh_from_db()
    return train
