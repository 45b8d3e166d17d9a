"""Service accounts: users for machines. They have tokens and roles, no password, and cannot use the console."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User

from access.models import ServiceAccount
from access.problems import invalid


def is_service(user: AbstractBaseUser) -> bool:
    """Return whether the user is a service account. No query for users of `accounts.users()`, else one."""
    return hasattr(user, "service_account")


def mark(user: User, created_by: str) -> None:
    ServiceAccount.objects.create(user=user, created_by=created_by[:150])


def check_no_password(fields: dict) -> None:
    """Raise 422 for a password: service accounts cannot sign in."""
    if fields.get("password"):
        raise invalid("/password", "service_account_password")
