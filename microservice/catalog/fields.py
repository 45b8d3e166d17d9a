"""What a field of a service or a version may hold, beyond what its type says."""

import re
from typing import Any

from django.core.exceptions import ValidationError

from access import url_userinfo
from access.problems import invalid
from deployer.engine import plans, text

from ..models import MicroService, MicroServiceVersion

# C0 and C1 control characters; commands may hold new lines and tabs.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_COMMAND = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def errors_of(row: MicroService | MicroServiceVersion, names: tuple[str, ...]) -> list[dict]:
    """What the models' validators say, and what no text may hold: [{"pointer", "reason"}]."""
    errors = []
    every = {field.name for field in row._meta.fields}
    try:
        row.clean_fields(exclude=every - set(names))
    except ValidationError as error:
        errors = [
            {"pointer": f"/{name}", "reason": str(reason)}
            for name, reasons in error.message_dict.items()
            for reason in reasons
        ]
    for name in names:
        reason = _text_reason(name, getattr(row, name))
        if reason:
            errors.append({"pointer": f"/{name}", "reason": reason})
    return errors


def regular(name: str, value: Any) -> Any:
    """A value as it is kept: commands, and those of steps, with LF where whoever wrote them ends lines with CR LF; an
    encoding by the name that is kept. Anything else, also what is wrong, as it is.

    A shell takes the CR for a part of the last word of each line, so that nobody can have meant it.
    """
    if name.endswith("_command") and isinstance(value, str):
        return value.replace("\r\n", "\n")
    if name == "encoding" and isinstance(value, str):
        try:
            return text.normalised(value)
        except ValueError:  # told with all else that is wrong
            return value
    if name == "steps" and isinstance(value, list):
        return [
            {key: one.replace("\r\n", "\n") if isinstance(one, str) else one for key, one in step.items()}
            if isinstance(step, dict)
            else step
            for step in value
        ]
    return value


def _text_reason(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if name.endswith("_command"):
        if len(value) > plans.LONGEST_COMMAND:
            return f"is longer than {plans.LONGEST_COMMAND} characters"
        return "holds a control character (lines end with LF)" if _CONTROL_IN_COMMAND.search(value) else ""
    if _CONTROL.search(value):
        return "holds a control character"
    if name == "build_url" and url_userinfo.split(value)[0] != value:
        return "must hold no user or password: give them as build_username and build_password, which nobody can read"
    return ""


def refuse(errors: list[dict]) -> None:
    """Raises one 422 Problem that names all that is wrong; does nothing where nothing is."""
    if not errors:
        return
    problem = invalid(errors[0]["pointer"], errors[0]["reason"])
    problem.field_errors = list(errors)
    raise problem
