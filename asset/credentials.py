"""The rules for creating, changing and deleting credentials. Only the engine reads a secret back."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from access.callers import Caller
from access.problems import FieldError, invalid_fields, refused
from access.rollback import rolls_back
from access.secrets import Secret
from audit import history
from deployer.engine.endpoint import reveal
from deployer.engine.errors import BadCredential
from messages import Message
from messages.invalid import InvalidValue

from . import validation
from .models import Asset, Credential

MAX_SECRET = 32_768  # characters; a private RSA key of 16,384 bits takes about 12,500
FIELDS = ("name", "kind", "secret", "passphrase")


def create(caller: Caller, values: Mapping[str, Any]) -> Credential:
    """Create a credential of `name`, `kind`, `secret` and perhaps `passphrase`. 422 names each invalid field, 409 a
    name that is taken."""
    reasons = {name: Message("required") for name in ("name", "secret") if name not in values}
    credential = Credential(created_by=caller.name, updated_by=caller.name)
    _assign(credential, values, reasons)
    with transaction.atomic():
        _save(credential, force_insert=True)
        history.record(caller, "create", "credential", credential, after=shown(credential))
    return credential


@rolls_back
def change(caller: Caller, credential: Credential, values: Mapping[str, Any]) -> Credential:
    """Change the named fields. A new secret comes with its own passphrase; another kind needs another secret."""
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
    """Return an unsaved copy as `change` would make it. Raise the same Problems."""
    candidate = copy(credential)
    _replace(candidate, values)
    return candidate


def _replace(credential: Credential, values: Mapping[str, Any]) -> None:
    reasons: dict[str, Message] = {}
    if "secret" in values and "passphrase" not in values:
        values = {**values, "passphrase": ""}
    if values.get("kind", credential.kind) != credential.kind and "secret" not in values:
        reasons["secret"] = Message("secret_required_with_kind")
    _assign(credential, values, reasons)


def delete(caller: Caller, credential: Credential) -> None:
    """Delete the credential. 409, naming up to 5 hosts, while any uses it."""
    try:
        with transaction.atomic():
            history.record(caller, "delete", "credential", credential, before=shown(credential))
            # Workers do not log in to archived hosts; one that is restored needs another credential.
            Asset.every.filter(credential=credential, archived__isnull=False).update(credential=None)
            credential.delete()
    except (ProtectedError, IntegrityError) as error:
        hosts = list(credential.hosts.values_list("hostname", flat=True)[:5])
        if not hosts:
            raise refused("credential_in_use.somewhere", credential=credential.name) from error
        raise refused("credential_in_use", credential=credential.name, hosts=hosts) from error


def shown(credential: Credential) -> dict[str, str]:
    """Return what people may see of it."""
    return {"name": credential.name, "kind": credential.kind}


def _assign(credential: Credential, values: Mapping[str, Any], reasons: dict[str, Message]) -> None:
    """Set the named fields, or raise 422 with every reason. No reason repeats any part of a secret."""
    for name, value in values.items():
        try:
            setattr(credential, name, _checked(name, value))
        except InvalidValue as error:
            reasons[name] = error.reason
    if not reasons and {"kind", "secret", "passphrase"} & set(values):
        reasons = _mismatch(credential)
    if reasons:
        raise invalid_fields([FieldError(f"/{name}", reason) for name, reason in reasons.items()])


def _checked(name: str, value: Any) -> str:
    if name == "name":
        if (name := validation.text(value, 64, 1)) != name.strip():
            raise InvalidValue("surrounding_spaces")
        return name
    if name == "kind":
        if value not in Credential.Kind.values:
            raise InvalidValue("not_one_of", choices=list(Credential.Kind.values))
        return value
    if name not in FIELDS:
        raise InvalidValue("unknown_field")
    least = 1 if name == "secret" else 0
    text = reveal(value)
    if not isinstance(text, str) or not least <= len(text) <= MAX_SECRET:
        raise InvalidValue("secret_length", min=least, max=MAX_SECRET)
    if "\0" in text or not _encodable(text):
        raise InvalidValue("secret_characters")
    return Secret(text)


def _mismatch(credential: Credential) -> dict[str, Message]:
    """Return what is wrong with kind, secret and passphrase together, by field."""
    from deployer.engine.ssh import check_key  # imports paramiko: see host_check.py

    secret, passphrase = reveal(credential.secret), reveal(credential.passphrase)
    if credential.kind == Credential.Kind.PASSWORD:
        if passphrase:
            return {"passphrase": Message("passphrase_of_password")}
        return {"secret": Message("password_lines")} if "\n" in secret else {}
    try:
        check_key(secret, passphrase)
    except BadCredential as error:
        return {error.about: error.with_remedy}
    return {}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can spell it, UTF-8 and the database cannot
        return False
    return True


def _save(credential: Credential, **options: Any) -> None:
    try:
        with transaction.atomic():
            credential.save(**options)
    except IntegrityError as error:
        if Credential.objects.filter(name=credential.name).exclude(pk=credential.pk).exists():
            raise refused("already_exists.credential", name=credential.name) from error
        raise
