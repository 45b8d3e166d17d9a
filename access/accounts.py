"""Create, change and delete users. Refusals are Problems.

Each function checks that the caller may do it. Callers write the audit history, which this app does not know.
"""

import re
from typing import Any

from django.contrib.auth import password_validation
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from messages.rendering import literal

from . import service_accounts
from .callers import Caller
from .models import Membership, Token
from .problems import FieldError, invalid, invalid_fields, not_found, refused
from .reauthentication import check_grants_access
from .revocation import end_access
from .rollback import rolls_back

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,149}\Z")
MAX_EMAIL, MAX_NAME, MAX_PASSWORD = 254, 150, 1000  # characters
# What Django's password validators can find. What another validator says is shown in its own words.
PASSWORD_REASONS = frozenset(
    {"password_entirely_numeric", "password_too_common", "password_too_short", "password_too_similar"}
)


def users() -> QuerySet[User]:
    return User.objects.select_related("service_account").prefetch_related("memberships__team")


def find_user(user_id: int) -> User:
    user = users().filter(pk=user_id).first()
    if user is None:
        raise not_found("user")
    return user


def lookup_user(known: QuerySet[User], id_or_name: int | str, pointer: str) -> User:
    """Return one of `known` by id (int) or exact name (str). Raise 422 at `pointer` where there is none."""
    if isinstance(id_or_name, str):
        user = known.filter(username=id_or_name).first()
    else:
        user = known.filter(pk=id_or_name).first() if id_or_name < 2**63 else None
    if user is None:
        raise invalid(pointer, "user_unknown")
    return user


def create_user(caller: Caller, fields: dict[str, Any]) -> User:
    """Create a person or, with `service`, a service account. Raise 409 `user_exists`.

    A person without a password cannot sign in until one is set.
    """
    require_admin(caller)
    user = User(is_active=True)
    check_grants_access(caller, user, fields)
    if service := bool(fields.get("service")):
        service_accounts.check_no_password(fields)
    _set_fields(user, fields)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            if service:
                service_accounts.mark(user, caller.name)
    except IntegrityError as error:
        raise refused("user_exists", name=user.get_username()) from error
    return find_user(user.pk)


@rolls_back
def change_user(caller: Caller, user: User, fields: dict[str, Any]) -> User:
    """Change the named fields. Administrators cannot deactivate or demote themselves: another one has to.

    A new password and deactivation end all sessions and tokens of the user; reactivation does not bring them back.
    """
    require_admin(caller)
    check_grants_access(caller, user, fields)
    if service_accounts.is_service(user):
        service_accounts.check_no_password(fields)
    loses = (fields.get("admin") is False and user.is_superuser) or (fields.get("active") is False and user.is_active)
    if loses and user.pk == caller.user_id:
        raise refused("own_account.rights")
    was_active = user.is_active
    _set_fields(user, fields)
    try:
        with transaction.atomic():
            user.save()
            if fields.get("active") is False:
                end_access(caller, user, "account deactivated")
            elif not was_active and user.is_active:  # also what is left from before deactivation ended it
                end_access(caller, user, "account reactivated")
            elif fields.get("password"):
                end_access(caller, user, "password reset")
    except IntegrityError as error:
        raise refused("user_exists", name=user.get_username()) from error
    return find_user(user.pk)


def delete_user(caller: Caller, user: User) -> None:
    """Delete a user with their tokens and memberships. The audit history keeps what they did, under their name."""
    require_admin(caller)
    if user.pk == caller.user_id:
        raise refused("own_account.delete")
    with transaction.atomic():
        Token.objects.filter(user=user).delete()
        Membership.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).delete()


def change_own_password(caller: Caller, user: User, new: str, *, keep: str = "", with_tokens: bool = True) -> None:
    """Set the password that a user chose, after `prove_password` has checked the current one. Raise 422 at /password.

    Ends the user's sessions, except the one with the digest `keep`, and their tokens.
    """
    _set_fields(user, {"password": new})
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_access(caller, user, "password changed", keep=keep, with_tokens=with_tokens)


def require_admin(caller: Caller) -> None:
    if not caller.may("admin"):
        raise refused("forbidden.admin")


def _set_fields(user: User, fields: dict[str, Any]) -> None:
    errors = [error for name, value in fields.items() if (error := _text_error(name, value))]
    if errors:
        raise invalid_fields(errors)
    if "admin" in fields:
        user.is_superuser = user.is_staff = fields["admin"]
    if "active" in fields:
        user.is_active = fields["active"]
    for name in ("username", "email", "first_name", "last_name"):
        if name in fields:
            setattr(user, name, fields[name])
    password = fields.get("password")
    if password:
        try:
            password_validation.validate_password(password, user)
        except ValidationError as error:
            raise invalid_fields(_password_error(reason) for reason in error.error_list) from error
        user.set_password(password)
    elif user.pk is None:
        user.set_unusable_password()


def _text_error(name: str, value: object) -> FieldError | None:
    if not isinstance(value, str):
        return None
    pointer = f"/{name}"
    if name == "username" and not USERNAME.match(value):
        return FieldError(pointer, "username", max=150)
    if name == "email" and len(value) > MAX_EMAIL:
        return FieldError(pointer, "too_long", max=MAX_EMAIL)
    if name == "email" and value and not _is_email(value):
        return FieldError(pointer, "email")
    if name in ("first_name", "last_name") and (len(value) > MAX_NAME or not value.isprintable()):
        return FieldError(pointer, "printable", max=MAX_NAME)
    if name == "password" and len(value) > MAX_PASSWORD:
        return FieldError(pointer, "too_long", max=MAX_PASSWORD)
    return None


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _password_error(error: ValidationError) -> FieldError:
    if error.code in PASSWORD_REASONS:
        return FieldError("/password", error.code, **(error.params or {}))
    return FieldError("/password", literal(" ".join(error.messages)))
