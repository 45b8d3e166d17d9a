"""What a model's own validation says, as field errors."""

from django.core.exceptions import ValidationError

from messages import Message
from messages.rendering import literal

from .problems import FieldError

# Codes of Django's validators, and of validators of this project, which are named after their text.
_CODES = {
    "blank": "required",
    "null": "required",
    "max_length": "model.max_length",
    "min_value": "model.min_value",
    "max_value": "model.max_value",
    "invalid_choice": "model.choice",
    "all_digits": "all_digits",
    "name_syntax": "name_syntax",
}
_PARAMS = ("limit_value", "value")


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return an error for each thing that is wrong, at `/field`; at `/` where it concerns the whole row."""
    return [
        FieldError("/" + name.replace("__all__", ""), _reason(reason))
        for name, reasons in error.error_dict.items()
        for reason in reasons
    ]


def _reason(error: ValidationError) -> Message:
    code = _CODES.get(error.code or "")
    if code is None:
        return literal(" ".join(map(str, error.messages)))
    params = error.params if isinstance(error.params, dict) else {}
    return Message(code, {name: params[name] for name in _PARAMS if name in params})
