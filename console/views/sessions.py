"""The sessions and sign-ins of one person, as the own account and the page of a user show them."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller
from access.sessions import session_of

from .. import csv_lists, tables
from ..forms.confirmations import EndAccessForm
from ..queries import people
from .decorators import query, wants_next_rows


def part(request: HttpRequest, caller: Caller, user_id: int, name: str) -> HttpResponse | None:
    """Return what the request asks for instead of the page: a list as a file, or its next rows."""
    if file := csv_lists.file(request, tables.SESSIONS, lambda **_: people.sessions(user_id), caller, name):
        return file
    pages = partial(people.sign_ins, user_id)
    if file := csv_lists.file(request, tables.SIGN_INS, pages, caller, name):
        return file
    if wants_next_rows(request):
        return render(request, "people/sign_in_rows.html", {"page": pages(query(request, "after")["after"])})
    return None


def context(request: HttpRequest, user_id: int) -> dict[str, Any]:
    return {
        "sessions": people.sessions(user_id),
        "here": session_of(request).digest,
        "end_form": EndAccessForm(),
        "page": people.sign_ins(user_id, query(request, "after")["after"]),
    }
