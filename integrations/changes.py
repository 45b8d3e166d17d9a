"""Settings: checked, tested as a whole, saved only when the test passes, kept, brought back. Refuses with Problem."""

import json
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from access.callers import Caller
from access.problems import Problem, invalid, not_found
from access.secrets import Secret
from audit.history import record

from . import http_client, probes, projects, registry
from .models import Setting


class TestFailed(Problem):
    """A document that did not pass its test. `findings`: of every part, as `probes.test` gives them."""

    def __init__(self, *parts: Any, findings: list[dict[str, Any]]):
        super().__init__(*parts)
        self.findings = findings


KEEP = None  # given for a secret, or the secret left out: the one that is saved stays, as long as the server does
LONGEST = 64 * 1024


def shown(document: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A document without its secrets: of each only whether there is one. Every part is there; null: not set up."""
    told: dict[str, Any] = {}
    for name, defaults in registry.PARTS.items():
        fields = document.get(name)
        told[name] = (
            None
            if fields is None
            else {
                **{key: value for key, value in {**defaults, **fields}.items() if key not in registry.SECRETS},
                **{f"{key}_set": bool(fields.get(key)) for key in defaults if key in registry.SECRETS},
            }
        )
    return told


def missing(document: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """What is not set up yet, and what does not work without it."""
    return [{"part": name, "without": registry.WITHOUT[name]} for name in registry.PARTS if name not in document]


def complete(given: dict[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """The document that a request means: checked, and with the secrets that it left out. A part left out, or null, is
    not set up. Raises one 422 Problem that names all that is wrong."""
    saved = registry.document_of(registry.newest())
    document, errors = {}, []
    for name, fields in given.items():
        if fields is None:
            continue
        plain = {key: value for key, value in registry.PARTS[name].items() if key not in registry.SECRETS}
        whole = {**plain, **{key: value for key, value in fields.items() if value is not KEEP}}
        before = saved.get(name, {})
        for key in set(registry.PARTS[name]) & registry.SECRETS - set(whole):
            if before.get(key):
                # Else a new address could be sent the old one's token.
                if key not in registry.OURS and _place(name, whole) != _place(name, before):
                    errors.append(_error(name, key, "must be given again for another address"))
                whole[key] = before[key]
        errors += _errors(name, {**registry.PARTS[name], **whole})
        document[name] = whole
    if errors:
        problem = invalid(errors[0]["pointer"], errors[0]["reason"])
        problem.field_errors = list(errors)
        raise problem
    return document


def check(given: dict[str, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """The test of `save`, and nothing saved."""
    return probes.test(complete(given))


def save(caller: Caller, given: dict[str, dict[str, Any] | None], reason: str = "") -> Setting:
    """Tests all of it, and saves it when every part passes; else a 422 `settings_test_failed` with every finding."""
    return _save(caller, complete(given), reason)


def restore(caller: Caller, number: int) -> Setting:
    """Brings a past document back, as a new one, when it passes the test today."""
    row = Setting.objects.filter(pk=number).first()
    if row is None:
        raise not_found("past setting")
    return _save(caller, registry.document_of(row), f"restored from {number}", row)


def _save(caller: Caller, document: dict, reason: str, restored: Setting | None = None) -> Setting:
    findings = probes.test(document)
    bad = [(found["part"], step) for found in findings for step in found["steps"] if not step["ok"]]
    if bad:
        part, step = bad[0]
        raise TestFailed(
            422,
            "settings_test_failed",
            f"{part}: {step['what']}: {step['detail']}",
            "Nothing was saved. Try the same with POST /api/v1/settings/check.",
            [{"pointer": f"/{part}", "reason": f"{step['what']}: {step['detail']}"} for part, step in bad],
            findings=findings,
        )
    newest = registry.newest()
    if newest is not None and restored is None and _whole(registry.document_of(newest)) == _whole(document):
        return newest  # it holds already, and has just passed its test again
    with transaction.atomic():
        before = registry.newest()
        row = Setting.objects.create(
            document=Secret(json.dumps(document)),
            findings=findings,
            reason=reason[:300],
            restored=restored,
            created_by=caller.name,
        )
        old = registry.document_of(before)
        changed = [name for name in registry.PARTS if old.get(name) != document.get(name)]
        record(
            caller,
            "restore" if restored else "change",
            "settings",
            row,
            before={"parts": sorted(old)},
            after={"parts": sorted(document), "changed": changed},
            reason=reason,
        )
    _forget()
    return row


def _whole(document: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """With every key: what was left out is what was given empty."""
    return {name: {**registry.PARTS[name], **fields} for name, fields in document.items()}


def _forget() -> None:
    from django.core.files.storage import storages

    forget = getattr(storages["default"], "forget", None)
    if forget is not None:
        forget()


def _place(name: str, fields: dict[str, Any]) -> tuple:
    if name == "package_store":
        return fields.get("kind"), fields.get("endpoint", ""), fields.get("bucket", "")
    address = urlsplit(fields.get("url", ""))
    return address.scheme, address.netloc


def _errors(name: str, fields: dict[str, Any]) -> list[dict]:
    errors = []
    for key, value in fields.items():
        if isinstance(value, str) and len(value) > LONGEST:
            errors.append(_error(name, key, f"is longer than {LONGEST} characters"))
    if name == "proxies":
        errors += [
            _error(name, key, reason)
            for key in ("http", "https")
            if fields[key] and (reason := _address_error(fields[key]))
        ]
        if any(not name.isprintable() or " " in name or not name for name in fields["no_proxy"]):
            errors.append(_error(name, "no_proxy", "must be names of hosts, without blanks"))
        return errors
    if name == "package_store":
        errors += _store_errors(fields)
    elif reason := _address_error(fields["url"]):
        errors.append(_error(name, "url", reason))
    if "projects" in fields and (reason := projects.binding_error(fields["projects"])):
        errors.append(_error(name, "projects", reason))
    if fields["client_cert"] and not fields["client_key"] and "PRIVATE KEY" not in fields["client_cert"]:
        errors.append(_error(name, "client_key", "is missing beside client_cert"))
        return errors
    try:
        http_client.tls(fields)
    except ValueError as error:
        errors.append(_error(name, "ca", str(error)))
    return errors


def _store_errors(fields: dict[str, Any]) -> list[dict]:
    if fields["kind"] == "local":
        return (
            []
            if fields["folder"].startswith("/") and "\0" not in fields["folder"]
            else [_error("package_store", "folder", "must be a whole path, such as /srv/packages")]
        )
    if fields["kind"] != "s3":
        return [_error("package_store", "kind", "must be local or s3")]
    errors = [
        _error("package_store", key, "is required") for key in ("bucket", "access_key", "secret_key") if not fields[key]
    ]
    if fields["endpoint"] and (reason := _address_error(fields["endpoint"])):
        errors.append(_error("package_store", "endpoint", reason))
    return errors


def _address_error(url: str) -> str:
    try:
        found = urlsplit(url)
        port_is_good = found.port is None or found.port > 0
    except ValueError:
        return "is no address"
    if found.scheme not in ("http", "https") or not found.hostname or not port_is_good:
        return "must be an http:// or https:// address"
    if found.username is not None or found.password is not None:
        return "must hold no user or password"
    if found.query or found.fragment or not url.isascii() or any(char.isspace() for char in url):
        return "must be a plain address"
    return ""


def _error(name: str, key: str, reason: str) -> dict[str, str]:
    return {"pointer": f"/{name}/{key}", "reason": reason}
