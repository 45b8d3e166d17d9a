"""Sensitive changes require the user's own password if it was entered too long ago.

It is a field of the same form, so that no input is lost. The functions behind the forms decide which changes are
sensitive, and refuse with `reauthenticate`.
"""

from dataclasses import replace

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest

from access import reauthentication, security_log
from access.callers import Caller
from access.sessions import session_of

from ..forms.people import OwnPassword

FIELD = "own_password"


def ask(caller: Caller, form: forms.Form) -> None:
    """Add the password field to the form if it is required. Call before validation."""
    if not caller.is_fresh:
        form.fields[FIELD] = OwnPassword()


def proven(request: HttpRequest, caller: Caller, form: forms.Form) -> Caller:
    """Return the caller, marked fresh if the form came with the password. Raise Problem 422 or 429 if it is wrong."""
    password = form.cleaned_data.pop(FIELD, "")
    if caller.is_fresh or not password:
        return caller
    reauthentication.prove_password(caller, User.objects.get(pk=caller.user_id or 0), password)
    session_of(request).confirm_password()
    security_log.log_event("password given again", caller)
    return replace(caller, is_fresh=True)
