"""Test, save and restore the settings of all integrations, as one document. Refusals are Problems."""

import json
from typing import Any

from django.core.files.storage import storages
from django.db import transaction

from access.callers import Caller
from access.problems import FieldError, Problem, not_found
from access.secrets import Secret
from audit.history import record
from messages import Message
from messages.rendering import render

from . import probes, registry
from .models import Setting
from .registry import Document, Fields
from .validation import complete_document

MAX_REASON = 300  # characters


class TestFailed(Problem):
    """A document that did not pass its test. `findings`: as `probes.test` returns them."""

    def __init__(self, findings: list[dict[str, Any]]):
        failed = [(part["part"], step) for part in findings for step in part["steps"] if not step["ok"]]
        name, step = failed[0]
        super().__init__(
            422,
            Message(
                "settings_test_failed",
                {"integration": registry.title(name), "step": step["what"], "reason": Message.from_json(step)},
            ),
            errors=[FieldError(f"/{name}", Message.from_json(step)) for name, step in failed],
        )
        self.findings = findings


def redacted(document: Document) -> dict[str, Fields | None]:
    """Return a document without its secrets: `token_set` and so on say whether there is one. None: not configured."""
    return {name: _redacted(name, document[name]) if name in document else None for name in registry.PARTS}


def _redacted(name: str, fields: Fields) -> Fields:
    every = {**registry.PARTS[name], **fields}
    secrets = registry.SECRETS & registry.PARTS[name].keys()
    return {
        **{key: value for key, value in every.items() if key not in registry.SECRETS},
        **{f"{key}_set": bool(fields.get(key)) for key in registry.PARTS[name] if key in secrets},
    }


def unconfigured(document: Document) -> list[dict[str, str]]:
    """Return the integrations that are not configured: [{"part", "without": what that means}]."""
    return [
        {"part": name, "without": render(registry.consequence(name))} for name in registry.PARTS if name not in document
    ]


def check(given: dict[str, Fields | None]) -> list[dict[str, Any]]:
    """Test a document as `save` does, without saving it. Return the findings."""
    return probes.test(complete_document(given))


def save(caller: Caller, given: dict[str, Fields | None], reason: str = "") -> Setting:
    """Test a document and save it where everything passes. Raise 422 `settings_test_failed` with all findings."""
    return _save(caller, complete_document(given), reason)


def restore(caller: Caller, revision_id: int) -> Setting:
    """Save an earlier revision's document as a new revision, where it passes the test today."""
    row = Setting.objects.filter(pk=revision_id).first()
    if row is None:
        raise not_found("past setting")
    return _save(caller, registry.document_of(row), f"restored from {revision_id}", row)


def _save(caller: Caller, document: Document, reason: str, restored: Setting | None = None) -> Setting:
    findings = probes.test(document)
    if not all(step["ok"] for part in findings for step in part["steps"]):
        raise TestFailed(findings)
    newest = registry.newest()
    if newest is not None and restored is None and _complete(registry.document_of(newest)) == _complete(document):
        return newest  # it is current already, and has just passed its test again
    with transaction.atomic():
        before = registry.document_of(registry.newest())
        row = Setting.objects.create(
            document=Secret(json.dumps(document)),
            findings=findings,
            reason=reason[:MAX_REASON],
            restored=restored,
            created_by=caller.name,
        )
        record(
            caller,
            "restore" if restored else "change",
            "settings",
            row,
            before={"parts": sorted(before)},
            after={
                "parts": sorted(document),
                "changed": [name for name in registry.PARTS if before.get(name) != document.get(name)],
            },
            reason=reason,
        )
    _reload_storage()
    return row


def _complete(document: Document) -> Document:
    """Fill in every key: a key that is left out equals one that is empty."""
    return {name: {**registry.PARTS[name], **fields} for name, fields in document.items()}


def _reload_storage() -> None:
    """Let this process use a changed package store at once; others see it after storage.CACHE_SECONDS."""
    reload = getattr(storages["default"], "reload", None)
    if reload is not None:
        reload()
