"""A deployment that failed, with the steps of its operations."""

from typing import Any

from microservice.models import Deployment, Step
from microservice.status import DeploymentStatus, OperationStatus, StepStatus, UndoStatus
from tests import factories


def with_steps(deployment: Deployment, *names: str, **more: Any) -> None:
    Step.objects.bulk_create(
        Step(operation=operation, position=position, name=name, **{"status": StepStatus.DONE, **more})
        for operation in deployment.operations.all()
        for position, name in enumerate(names)
    )


def failed(count: int = 2) -> Deployment:
    deployment = factories.running(count, "shop")
    deployment.operations.update(status=OperationStatus.UNDONE, error="the check did not pass", error_step="check")
    Deployment.objects.update(status=DeploymentStatus.FAILED)
    with_steps(deployment, "stop", "start", "check", undo_status=UndoStatus.UNDONE)
    Step.objects.filter(name="check").update(status=StepStatus.FAILED, exit_status=7)
    deployment.refresh_from_db()
    return deployment
