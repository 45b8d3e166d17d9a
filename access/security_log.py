"""The access log: sign-ins, refusals with their reasons, and uses of tokens, with the address. Logger "access".

The signal `event_recorded` lets the audit history record what belongs there too.
"""

import logging
from collections.abc import Callable

from django.db import DatabaseError
from django.dispatch import Signal
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from runtime.logs import log_context

from .callers import Caller
from .client_ip import client_address
from .sessions import agent_of

log = logging.getLogger("access")

event_recorded = Signal()  # caller, action, subject, subject_id, subject_name, after
REFUSALS = (401, 403, 429)
MAX_VALUE = 200


def log_event(event: str, caller: Caller | None = None, level: int = logging.INFO, /, **more: object) -> None:
    """Write one log line: `event` in a few fixed words, and everything else as fields."""
    who: dict[str, object] = {}
    if caller is not None:
        who = {
            "user": caller.name,
            "token": caller.token_id,
            "token_name": caller.token_name,
            "address": caller.address,
        }
    with log_context(**{"event": event, **{name: _short(value) for name, value in more.items()}, **who}):
        log.log(level, "%s", event)


def record_event(
    event: str,
    caller: Caller,
    action: str,
    *,
    subject: str,
    subject_id: int | None,
    subject_name: str,
    after: dict[str, object],
) -> None:
    """Write a log line and a row of the audit history."""
    log_event(event, caller, logging.INFO, **{"subject": subject_name, **after})
    event_recorded.send(
        None,
        caller=caller,
        action=action,
        subject=subject,
        subject_id=subject_id,
        subject_name=subject_name,
        after=after,
    )


class TraceMiddleware:
    """Log each refusal and each request to the admin site, with the caller, the address and the client."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        refused = response.status_code in REFUSALS
        if refused or request.path_info.startswith("/admin/"):
            log_event(
                "refused" if refused else "admin page",
                _who(request),
                logging.WARNING if refused else logging.INFO,
                status=response.status_code,
                reason=getattr(response, "reason_code", ""),
                method=request.method,
                path=request.path_info,
                agent=agent_of(request),
            )
        return response


def _who(request: HttpRequest) -> Caller:
    """Return the caller where the request was authenticated; else what is known of it, without rights."""
    known: Caller | None = getattr(request, "known", None)
    if known is not None:
        return known
    try:
        user = getattr(request, "user", None)
        name = user.get_username() if user is not None and user.is_authenticated else ""
    except DatabaseError:
        name = ""
    return Caller(name=name, address=client_address(request))


def _short(value: object) -> object:
    return value[:MAX_VALUE] if isinstance(value, str) else value
