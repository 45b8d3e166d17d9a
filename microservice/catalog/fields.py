"""Rules for the fields of services and versions, beyond their types."""

import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

from access import url_userinfo
from access.model_errors import field_errors
from access.problems import FieldError, invalid_fields
from asset.strategy import InvalidStrategy, Strategy
from deployer.engine import spec, text
from messages import Message
from messages.invalid import InvalidValue
from messages.rendering import literal

from ..models import MicroService, MicroServiceVersion
from . import recipes

# C0 and C1 control characters; commands may contain line feeds and tabs.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_COMMAND = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def errors_of(row: MicroService | MicroServiceVersion, names: tuple[str, ...]) -> list[FieldError]:
    """Return what the models' validators reject in these fields, and texts that must not be kept."""
    errors: list[FieldError] = []
    every = {field.name for field in row._meta.fields}
    try:
        row.clean_fields(exclude=every - set(names))
    except ValidationError as error:
        errors = field_errors(error)
    for name in names:
        reason = _text_reason(name, getattr(row, name))
        if reason:
            errors.append(FieldError(f"/{name}", reason))
    return errors


def normalised(name: str, value: Any) -> Any:
    """Return a value as it is stored; an invalid one unchanged.

    In commands, also those of steps, CR LF becomes LF: a shell takes the CR as part of the last word of each line,
    which is never intended. An encoding becomes its canonical name.
    """
    if name.endswith("_command") and isinstance(value, str):
        return value.replace("\r\n", "\n")
    if name == "encoding" and isinstance(value, str):
        try:
            return text.normalised(value)
        except ValueError:  # reported by check_service, with everything else that is wrong
            return value
    if name in ("default_strategy", "auto_deploy_strategy"):
        try:
            return Strategy.parse(value).to_json() if value else {}
        except InvalidStrategy:
            return value
    if name == "recipe":
        return recipes.normalised(value)
    if name == "steps" and isinstance(value, list):
        return [_normalised_step(step) if isinstance(step, dict) else step for step in value]
    return value


def _normalised_step(step: dict[str, Any]) -> dict[str, Any]:
    return {key: value.replace("\r\n", "\n") if isinstance(value, str) else value for key, value in step.items()}


def _text_reason(name: str, value: Any) -> Message | None:
    if not isinstance(value, str):
        return None
    if name.endswith("_command"):
        if len(value) > spec.MAX_COMMAND:
            return Message("command_length", {"max": spec.MAX_COMMAND})
        return Message("command_characters") if _CONTROL_IN_COMMAND.search(value) else None
    if _CONTROL.search(value):
        return Message("control_characters")
    if name == "build_url" and url_userinfo.split(value)[0] != value:
        return Message("url_with_credentials")
    return None


def refuse(errors: Iterable[FieldError]) -> None:
    """Raise one 422 Problem with all errors; do nothing where there is none."""
    every = list(errors)
    if every:
        raise invalid_fields(every)


def reason_of(error: Exception) -> Message:
    """Return what a check of the engine says of a value: the reason of an InvalidValue, or the message."""
    message = error.reason if isinstance(error, InvalidValue) else getattr(error, "message", None)
    return message if isinstance(message, Message) else literal(str(error))
