"""Why a deployment was requested, in a person's or a pipeline's words: shown with it and kept in the history."""

import re

from django.db import transaction

from access.callers import Caller
from access.problems import invalid
from audit.history import record

from ..models import Deployment
from .create import check_right

MAX_NOTE = 500  # characters
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def clean(text: str, pointer: str = "/note", most: int = MAX_NOTE) -> str:
    """Return the note as it is kept. Raise Problem 422 where it is too long or not one line."""
    text = text.strip()
    if len(text) > most:
        raise invalid(pointer, "note_length", max=most)
    if _CONTROL.search(text):
        raise invalid(pointer, "control_characters")
    return text


def change(caller: Caller, deployment: Deployment, text: str) -> Deployment:
    """Set the note of a deployment, whatever its status."""
    check_right(caller, deployment.microservice)
    note = clean(text)
    with transaction.atomic():
        row = Deployment.objects.select_for_update(of=("self",), no_key=True).get(pk=deployment.pk)
        if row.note != note:
            before, row.note = row.note, note
            row.save(update_fields=["note"])
            record(
                caller,
                "change",
                "deployment",
                row,
                {"note": before},
                {"note": note},
                service=deployment.microservice,
            )
    deployment.note = note
    return deployment
