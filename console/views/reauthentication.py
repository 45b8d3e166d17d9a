"""What is delicate needs the own password, where it was given too long ago: a field in the same form, so that nothing
that was typed is lost. Which deeds those are, the rules say, by the refusal `reauthenticate`.
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
    """Adds the field, where it is needed. Before the form is validated."""
    if not caller.is_fresh:
        form.fields[FIELD] = OwnPassword()


def proven(request: HttpRequest, caller: Caller, form: forms.Form) -> Caller:
    """The caller; fresh, where the own password came with the form. Raises a Problem where it is wrong: 422, 429."""
    given = form.cleaned_data.pop(FIELD, "")
    if caller.is_fresh or not given:
        return caller
    reauthentication.prove_password(caller, User.objects.get(pk=caller.user_id or 0), given)
    session_of(request).prove()
    security_log.line("password given again", caller)
    return replace(caller, is_fresh=True)
