"""What templates may ask about a status, so that none spells one: `{% if version|is_installable %}`."""

from django import template

from builds.models import Builder
from builds.sandbox.commands import NONE, OFF
from callbacks.models import Delivery, DeliveryState
from microservice.models import MicroServiceVersion, Operation, Step
from microservice.status import BUILD_TRANSITIONS, BuildStatus, OperationStatus, StepStatus, UndoStatus

register = template.Library()


@register.filter
def is_installable(version: MicroServiceVersion) -> bool:
    return version.status == BuildStatus.SUCCESS


@register.filter
def is_unbuilt(version: MicroServiceVersion) -> bool:
    return version.status == BuildStatus.PENDING


@register.filter
def takes_package(version: MicroServiceVersion) -> bool:
    """Return whether a package may still be uploaded."""
    return version.status in BUILD_TRANSITIONS


@register.filter
def has_failed_build(version: MicroServiceVersion) -> bool:
    return version.status in (BuildStatus.FAILED, BuildStatus.TIMEOUT)


@register.filter
def has_no_sandbox(builder: Builder) -> bool:
    return builder.means == NONE


@register.filter
def is_sandbox_off(builder: Builder) -> bool:
    return builder.means == OFF


@register.filter
def is_undone(operation: Operation) -> bool:
    return operation.status == OperationStatus.UNDONE


@register.filter
def is_unknown(operation: Operation) -> bool:
    return operation.status == OperationStatus.UNKNOWN


@register.filter
def is_cancelled(operation: Operation) -> bool:
    return operation.status == OperationStatus.CANCELLED


@register.filter
def has_undo(operation: Operation) -> bool:
    return operation.undo_status != UndoStatus.NONE


@register.filter
def is_undoing(step: Step) -> bool:
    """Return whether its undo began, whatever came of it."""
    return step.undo_status != UndoStatus.NONE


@register.filter
def is_pending(step: Step) -> bool:
    return step.status == StepStatus.PENDING


@register.filter
def is_waiting(delivery: Delivery | None) -> bool:
    return delivery is not None and delivery.state == DeliveryState.PENDING


@register.filter
def is_delivered(delivery: Delivery) -> bool:
    return delivery.state == DeliveryState.DELIVERED
