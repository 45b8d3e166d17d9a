"""Credentials: made, changed and deleted by rule. A secret goes in here and comes out nowhere but in the engine."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from access.callers import Caller
from access.problems import Problem, conflict
from access.rollback import rolls_back
from access.secrets import Secret
from audit import history
from deployer.engine.endpoint import reveal
from deployer.engine.errors import BadCredential

from . import validation
from .models import Asset, Credential

LONGEST_SECRET = 32_768  # characters; a private RSA key of 16,384 bits takes about 12,500
FIELDS = ("name", "kind", "secret", "passphrase")


def create(caller: Caller, values: Mapping[str, Any]) -> Credential:
    """A new credential of `name`, `kind`, `secret`, perhaps `passphrase`. 422 names what is wrong, 409 a taken name."""
    wrong = {name: "is required" for name in ("name", "secret") if name not in values}
    credential = Credential(created_by=caller.name, updated_by=caller.name)
    _take(credential, values, wrong)
    with transaction.atomic():
        _save(credential, force_insert=True)
        history.record(caller, "create", "credential", credential, after=shown(credential))
    return credential


@rolls_back
def change(caller: Caller, credential: Credential, values: Mapping[str, Any]) -> Credential:
    """Changes what is named. A new secret comes with its own passphrase; another kind needs another secret."""
    before = shown(credential)
    _replace(credential, values)
    if shown(credential) == before and not {"secret", "passphrase"} & set(values):
        return credential
    credential.updated_by = caller.name
    with transaction.atomic():
        _save(credential)
        reason = "the secret was replaced" if {"secret", "passphrase"} & set(values) else ""
        history.record(caller, "change", "credential", credential, before, shown(credential), reason)
    return credential


def changed(credential: Credential, values: Mapping[str, Any]) -> Credential:
    """What `change` would make of it, unsaved; the credential itself stays as it is. Raises the same Problems."""
    tried = copy(credential)
    _replace(tried, values)
    return tried


def _replace(credential: Credential, values: Mapping[str, Any]) -> None:
    wrong: dict[str, str] = {}
    if "secret" in values and "passphrase" not in values:
        values = {**values, "passphrase": ""}
    if values.get("kind", credential.kind) != credential.kind and "secret" not in values:
        wrong |= {"secret": "is required when the kind changes"}
    _take(credential, values, wrong)


def delete(caller: Caller, credential: Credential) -> None:
    """409, naming hosts, while any uses it."""
    try:
        with transaction.atomic():
            history.record(caller, "delete", "credential", credential, before=shown(credential))
            # Nobody logs in to an archived host; whoever brings it back gives it another one.
            Asset.every.filter(credential=credential, archived__isnull=False).update(credential=None)
            credential.delete()
    except (ProtectedError, IntegrityError) as error:
        hosts = ", ".join(credential.hosts.values_list("hostname", flat=True)[:5])
        raise conflict(
            "credential_in_use",
            f"{credential.name} is what workers log in with on {hosts or 'a host'}.",
            "Give those hosts another credential first.",
        ) from error


def shown(credential: Credential) -> dict[str, str]:
    """All of it that anybody may see."""
    return {"name": credential.name, "kind": credential.kind}


def _take(credential: Credential, values: Mapping[str, Any], wrong: dict[str, str]) -> None:
    """Sets the named fields, or raises 422 with every reason. No reason repeats any part of a secret."""
    for name, value in values.items():
        try:
            setattr(credential, name, _checked(name, value))
        except ValueError as error:
            wrong[name] = str(error)
    if not wrong and {"kind", "secret", "passphrase"} & set(values):
        wrong = _unfit(credential)
    if wrong:
        errors = [{"pointer": f"/{name}", "reason": reason} for name, reason in wrong.items()]
        name, reason = next(iter(wrong.items()))
        raise Problem(422, "invalid", f"{name}: {reason}", errors=errors)


def _checked(name: str, value: Any) -> str:
    if name == "name":
        if (name := validation.text(value, 64, 1)) != name.strip():
            raise ValueError("must not begin or end with a space")
        return name
    if name == "kind":
        if value not in Credential.Kind.values:
            raise ValueError(f"must be one of {', '.join(Credential.Kind.values)}")
        return value
    if name not in FIELDS:
        raise ValueError("is not a field of a credential")
    least = 1 if name == "secret" else 0
    text = reveal(value)
    if not isinstance(text, str) or not least <= len(text) <= LONGEST_SECRET:
        raise ValueError(f"must be a text of {least} to {LONGEST_SECRET} characters")
    if "\0" in text or not _encodable(text):
        raise ValueError("must not contain NUL or half characters")
    return Secret(text)


def _unfit(credential: Credential) -> dict[str, str]:
    """What is wrong with kind, secret and passphrase together."""
    from deployer.engine.ssh import check_key  # loads what speaks SSH: see host_check.py

    secret, passphrase = reveal(credential.secret), reveal(credential.passphrase)
    if credential.kind == Credential.Kind.PASSWORD:
        if passphrase:
            return {"passphrase": "belongs to a private key; a password has none"}
        return {"secret": "a password is one line"} if "\n" in secret else {}
    try:
        check_key(secret, passphrase)
    except BadCredential as error:
        return {"passphrase" if "passphrase" in str(error) and passphrase else "secret": f"{error} {error.hint}"}
    return {}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can spell it, UTF-8 and the database cannot
        return False
    return True


def _save(credential: Credential, **how: Any) -> None:
    try:
        with transaction.atomic():
            credential.save(**how)
    except IntegrityError as error:
        if Credential.objects.filter(name=credential.name).exclude(pk=credential.pk).exists():
            raise conflict("already_exists", f"There is a credential named {credential.name} already.") from error
        raise
