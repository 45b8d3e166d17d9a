"""Refuse a request: a message with an HTTP status, and the places in the request that are wrong.

`Problem` travels as an exception from wherever a rule is broken to the one place that turns it into
`application/problem+json` (api/errors.py) or into a message on a page. The texts are in messages/texts; what each code
means, and its status, in problem_codes.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from messages import Message, json_params
from messages.rendering import hint, render

from .problem_codes import CODES


class FieldError:
    """What is wrong at one place of a request. `pointer`: a JSON pointer into the body, /query/name or /path/name.

    `reason`: a message, or its code with parameters. `more`: further members for API clients.
    """

    def __init__(self, pointer: str, reason: Message | str, more: Mapping[str, Any] | None = None, **params: Any):
        self.pointer = pointer
        self.reason = reason if isinstance(reason, Message) else Message(reason, params)
        self.more = dict(more or {})

    @property
    def text(self) -> str:
        """The reason in the language that is active."""
        return render(self.reason)

    @property
    def as_dict(self) -> dict[str, Any]:
        """{"pointer", "reason", "code", "params"}."""
        return {
            "pointer": self.pointer,
            "reason": self.text,
            "code": self.reason.code,
            "params": json_params(self.reason.params),
            **self.more,
        }


class Problem(Exception):
    """A refused request.

    `code` is for API clients: the message's code up to its first dot. `detail`, `hint` and `errors` are rendered
    when they are read, in the language that is active then: English in the API, the reader's language on a page.
    """

    def __init__(
        self,
        status: int,
        message: Message,
        errors: Iterable[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        page: str = "",
    ):
        self.status = status
        self.message = message
        self.code = message.code.partition(".")[0]
        self.field_errors = list(errors or ())
        self.headers = dict(headers or {})
        self.page = page  # the console's page where what is missing can be configured
        super().__init__(self.code)

    @property
    def detail(self) -> str:
        return render(self.message)

    @property
    def sentence(self) -> str:
        """`detail` for a person: what the address of the page names is no field that a person knows by its name."""
        if len(self.field_errors) == 1 and self.field_errors[0].pointer.startswith("/path/"):
            reason = self.field_errors[0].text
            return f"{reason[:1].upper()}{reason[1:]}"
        return self.detail

    @property
    def hint(self) -> str:
        return hint(self.message)

    @property
    def params(self) -> dict[str, Any]:
        return json_params(self.message.params)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [error.as_dict for error in self.field_errors]

    def __str__(self) -> str:
        return self.detail


def refused(
    code: str,
    errors: Iterable[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
    page: str = "",
    **params: Any,
) -> Problem:
    """Make a refusal from its text's code (`host_in_use.base_path`); its family (`host_in_use`) gives the status."""
    return Problem(
        CODES[code.partition(".")[0]].status, Message(code, params), errors=errors, headers=headers, page=page
    )


def invalid(pointer: str, reason: Message | str, code: str = "invalid", **params: Any) -> Problem:
    """Make a 422: well formed, and not valid at `pointer`. `reason`: a message, or its code with parameters."""
    return invalid_fields([FieldError(pointer, reason, **params)], code)


def invalid_fields(errors: Iterable[FieldError], code: str = "invalid") -> Problem:
    """Make a 422 with everything that is wrong, and the first error as its sentence."""
    every = list(errors)
    field = every[0].pointer.lstrip("/").replace("/", ".") or "the request"
    params = {"field": field, "reason": every[0].reason}
    if len(every) == 1:
        return Problem(422, Message(code, params), errors=every)
    return Problem(422, Message(f"{code}.several", {**params, "more": len(every) - 1}), errors=every)


def not_found(what: str) -> Problem:
    """Make a 404: it does not exist, or the caller may not see it. `what`: a word of the API (service, host)."""
    return refused("not_found", what=what)


def unauthorized(code: str = "unauthorized", **params: Any) -> Problem:
    challenge = {"WWW-Authenticate": 'Bearer realm="deployer"'}
    return refused(code, headers=challenge, **params)


def reauthenticate() -> Problem:
    """Make a 403, at the password's field: the session may do this, but the password was entered too long ago."""
    return refused("reauthenticate", [FieldError("/own_password", "password_required")])
