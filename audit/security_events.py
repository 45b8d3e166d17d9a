"""Keeps in the history what `access` finds worth it: sign-ins, sign-outs, failures, tokens in new places.

Sign-ins are heard of by Django's own signals, whichever way somebody came in.
"""

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from access import failed_sign_ins, revocation, security_log
from access.callers import Caller
from access.client_ip import client_address
from access.models import FailedSignIns
from access.sessions import agent_of

from .history import record, record_rows, row_of

NOBODY = "(not signed in)"  # no name that an account can have


def listen() -> None:
    """Once a process."""
    user_logged_in.connect(_signed_in, dispatch_uid="history")
    user_logged_out.connect(_signed_out, dispatch_uid="history")
    user_login_failed.connect(_failed, dispatch_uid="history")
    security_log.event_recorded.connect(_notable, dispatch_uid="history")
    failed_sign_ins.ended.connect(_failures_ended, dispatch_uid="history")
    revocation.ended.connect(_access_ended, dispatch_uid="history")


def _signed_in(sender, request: HttpRequest, user: User, **named) -> None:
    _tell("signed in", "sign_in", request, user)


def _signed_out(sender, request: HttpRequest, user: User | None, **named) -> None:
    if user is not None:
        _tell("signed out", "sign_out", request, user)


def _failed(sender, credentials: dict, request: HttpRequest | None = None, **named) -> None:
    if request is not None and _came_in(request):
        failed_sign_ins.count(str(credentials.get("username", "")), client_address(request), agent_of(request))


def _tell(event: str, action: str, request: HttpRequest, user: User) -> None:
    if not _came_in(request):
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


def _came_in(request: HttpRequest) -> bool:
    """Whether this is a request that somebody sent here; a shell or a test signs people in without one."""
    return hasattr(request, "request_id")


def _notable(
    sender, caller: Caller, action: str, subject: str, subject_id: int | None, subject_name: str, after: dict, **named
) -> None:
    record(caller, action, subject, None, after=after, subject_name=subject_name, subject_id=subject_id)


def _access_ended(sender, caller: Caller, user: User, what: revocation.Ended, reason: str, **named) -> None:
    rows = [row_of(caller, "delete", "token", one, None, {"user_id": one.user_id}, reason) for one in what.tokens]
    if what.sessions:
        rows.append(row_of(caller, "end_sessions", "user", user, None, {"sessions": what.sessions}, reason))
    record_rows(rows)


def _failures_ended(sender, rows: list[FailedSignIns], **named) -> None:
    record_rows(
        row_of(
            Caller(name=NOBODY, address=row.address),
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
