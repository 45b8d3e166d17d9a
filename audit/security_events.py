"""Record security events of `access` in the history: sign-ins, sign-outs, failures, tokens used from new addresses.

Django's own signals report every sign-in, whichever way it happens.
"""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from access import failed_sign_ins, revocation, security_log
from access.callers import Caller
from access.client_ip import client_address
from access.models import FailedSignIns
from access.sessions import agent_of

from .history import record, record_rows, row_of

ANONYMOUS = "(not signed in)"  # not a valid username


def listen() -> None:
    """Connect the signals. Once a process."""
    user_logged_in.connect(_on_sign_in, dispatch_uid="history")
    user_logged_out.connect(_on_sign_out, dispatch_uid="history")
    user_login_failed.connect(_on_failed_sign_in, dispatch_uid="history")
    security_log.event_recorded.connect(_on_event, dispatch_uid="history")
    failed_sign_ins.ended.connect(_on_failures_ended, dispatch_uid="history")
    revocation.ended.connect(_on_access_ended, dispatch_uid="history")


def _on_sign_in(sender: object, request: HttpRequest, user: User, **named: object) -> None:
    _record("signed in", "sign_in", request, user)


def _on_sign_out(sender: object, request: HttpRequest, user: User | None, **named: object) -> None:
    if user is not None:
        _record("signed out", "sign_out", request, user)


def _on_failed_sign_in(
    sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **named: object
) -> None:
    if request is not None and _is_served(request):
        failed_sign_ins.count(str(credentials.get("username", "")), client_address(request), agent_of(request))


def _record(event: str, action: str, request: HttpRequest, user: User) -> None:
    if not _is_served(request):
        return
    number: str = request.request_id  # type: ignore[attr-defined]
    who = Caller(name=user.get_username(), user_id=user.pk, address=client_address(request), request_id=number)
    security_log.record_event(
        event,
        who,
        action,
        subject="user",
        subject_id=user.pk,
        subject_name=user.get_username(),
        after={"agent": agent_of(request), "request_id": number},
    )


def _is_served(request: HttpRequest) -> bool:
    """Return whether a client sent this request; a shell or a test signs users in without one."""
    return hasattr(request, "request_id")


def _on_event(
    sender: object,
    caller: Caller,
    action: str,
    subject: str,
    subject_id: int | None,
    subject_name: str,
    after: dict[str, Any],
    **named: object,
) -> None:
    record(caller, action, subject, None, after=after, subject_name=subject_name, subject_id=subject_id)


def _on_access_ended(
    sender: object, caller: Caller, user: User, what: revocation.Ended, reason: str, **named: object
) -> None:
    rows = [row_of(caller, "delete", "token", token, None, {"user_id": token.user_id}, reason) for token in what.tokens]
    if what.sessions:
        rows.append(row_of(caller, "end_sessions", "user", user, None, {"sessions": what.sessions}, reason))
    record_rows(rows)


def _on_failures_ended(sender: object, rows: list[FailedSignIns], **named: object) -> None:
    record_rows(
        row_of(
            Caller(name=ANONYMOUS, address=row.address),
            "sign_in_failed",
            "user",
            None,
            None,
            {"failed": row.failed, "refused": row.refused, "since": row.since.isoformat(timespec="seconds")},
            subject_name=row.username,
            subject_id=row.user_id,
        )
        for row in rows
    )
