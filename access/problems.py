"""Refuse a request: a message with an HTTP status, and the places in the request that are wrong.

`Problem` travels as an exception from wherever a rule is broken to the one place that turns it into
`application/problem+json` (api/errors.py) or into a message on a page. The texts are in messages/texts; what each code
means, and its status, in problem_codes.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from messages import Message, json_params
from messages.rendering import hint, literal, render

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
    def as_dict(self) -> dict[str, Any]:
        """{"pointer", "reason", "code", "params"}, the reason in the language that is active."""
        return {
            "pointer": self.pointer,
            "reason": render(self.reason),
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
        message: Message | str,
        detail: str = "",
        hint: str = "",
        errors: Iterable[FieldError | dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        page: str = "",
    ):
        self.status = status
        if isinstance(message, str):  # its code, and a finished sentence
            self.code, self.message = message, literal(detail, hint)
        else:
            self.code, self.message = message.code.partition(".")[0], message
        self.field_errors = list(errors or ())
        self.headers = dict(headers or {})
        self.page = page  # the console's page where what is missing can be configured
        super().__init__(self.code)

    @property
    def detail(self) -> str:
        return render(self.message)

    @property
    def hint(self) -> str:
        return hint(self.message)

    @property
    def params(self) -> dict[str, Any]:
        return json_params(self.message.params)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [error if isinstance(error, dict) else error.as_dict for error in self.field_errors]

    def __str__(self) -> str:
        return self.detail


def refused(
    code: str,
    errors: Iterable[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
    page: str = "",
    **params: Any,
) -> Problem:
    """A refusal by the code of its text (`host_in_use.base_path`); the status is that of its family (`host_in_use`)."""
    return Problem(
        CODES[code.partition(".")[0]].status, Message(code, params), errors=errors, headers=headers, page=page
    )


def invalid(pointer: str, reason: Message | str, code: str = "invalid", hint: str = "", **params: Any) -> Problem:
    """422: well formed, and wrong at `pointer`. `reason`: the code of a text, with its parameters."""
    field = pointer.lstrip("/").replace("/", ".") or "the request"
    if isinstance(reason, str) and " " in reason:  # a finished sentence
        return Problem(422, code, f"{field}: {reason}", hint, [{"pointer": pointer, "reason": reason}])
    return invalid_fields([FieldError(pointer, reason, **params)], code)


def invalid_fields(errors: Iterable[FieldError], code: str = "invalid") -> Problem:
    """422 with everything that is wrong, and the first error as its sentence."""
    every = list(errors)
    field = every[0].pointer.lstrip("/").replace("/", ".") or "the request"
    params = {"field": field, "reason": every[0].reason}
    if len(every) == 1:
        return Problem(422, Message(code, params), errors=every)
    return Problem(422, Message(f"{code}.several", {**params, "more": len(every) - 1}), errors=every)


def not_found(what: str) -> Problem:
    """404: it does not exist, or the caller may not see it. `what`: a word of the API (service, host)."""
    return refused("not_found", what=what)


def forbidden(detail: str, hint: str = "", **params: Any) -> Problem:
    """403. `detail`: the code of a text (`forbidden.right`), with its parameters."""
    return Problem(403, "forbidden", detail, hint) if " " in detail else refused(detail, **params)


def unauthorized(code: str = "unauthorized", **params: Any) -> Problem:
    challenge = {"WWW-Authenticate": 'Bearer realm="deployer"'}
    if " " in code:
        return Problem(401, "unauthorized", code, "Send Authorization: Bearer <token>, or sign in.", headers=challenge)
    return refused(code, headers=challenge, **params)


def reauthenticate() -> Problem:
    """403: the session may do this, but its password was entered too long ago. At the field that asks for it."""
    return refused("reauthenticate", [FieldError("/own_password", "password_required")])


def conflict(
    code: str, detail: str = "", hint: str = "", errors: list[dict[str, Any]] | None = None, **params: Any
) -> Problem:
    """409: the request is valid and conflicts with the current state."""
    return Problem(409, code, detail, hint, errors) if detail else refused(code, **params)
