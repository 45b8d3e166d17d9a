"""Every way a request can be refused. One small file: the code is what machines read, the sentence what people read.

`Problem` travels as an exception from wherever a rule is broken to the one place that turns it into
`application/problem+json` (api/errors.py) or into a message on a page.
"""
from dataclasses import dataclass, field


@dataclass
class Problem(Exception):
    """A refused request: HTTP status, stable code, a sentence, what to do next, and where in the request it lies."""

    status: int
    code: str
    detail: str
    hint: str = ""
    errors: list[dict] = field(default_factory=list)  # [{"pointer": "/host", "reason": "…"}]
    headers: dict[str, str] = field(default_factory=dict)
    page: str = ""  # the address of the console's page where what is missing can be set

    def __str__(self):
        return self.detail


def invalid(pointer: str, reason: str, code: str = "invalid", hint: str = "") -> Problem:
    """422: well formed, and wrong at `pointer` (a JSON pointer into the body, or /query/name, /path/name)."""
    return Problem(422, code, f"{pointer.lstrip('/').replace('/', '.') or 'the request'}: {reason}", hint,
                   [{"pointer": pointer, "reason": reason}])


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", f"There is no such {what}, or you may not see it.")


def forbidden(detail: str, hint: str = "") -> Problem:
    return Problem(403, "forbidden", detail, hint)


def unauthorized(detail: str = "Nobody is signed in.") -> Problem:
    return Problem(401, "unauthorized", detail, "Send Authorization: Bearer <token>, or sign in.",
                   headers={"WWW-Authenticate": 'Bearer realm="deployer"'})


def reauthenticate() -> Problem:
    """403: the session may do this, but its password was given too long ago. At the field that asks for it again."""
    return Problem(403, "reauthenticate", "Your password is needed for this: you gave it too long ago.",
                   "Sign in again, or do it in the console, which asks for your password.",
                   [{"pointer": "/own_password", "reason": "is needed: you gave it too long ago"}])


def conflict(code: str, detail: str, hint: str = "", errors: list[dict] | None = None) -> Problem:
    """409: the request is right and a state is in its way."""
    return Problem(409, code, detail, hint, errors or [])
