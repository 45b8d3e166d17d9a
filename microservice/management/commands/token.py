"""`manage.py token`: creates an API token and prints it."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from access.authentication import scopes_of
from access.callers import SCOPES, Caller
from access.problems import Problem
from access.tokens import default_expiry, make_token
from audit.history import record
from microservice.models import MicroService
from microservice.tokens import as_json
from runtime.ids import parse_id

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = "Create an API token and print it, alone, on standard output. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the token is for")
        parser.add_argument("--scopes", required=True, help=f"separated by commas: {','.join(SCOPES)}")
        parser.add_argument(
            "--user",
            required=True,
            help="the account that owns the token: a service account (manage.py service_account), or a person",
        )
        parser.add_argument("--services", default="", help="ids or names, separated by commas; default: all services")
        parser.add_argument(
            "--expires",
            help="2027-01-31T00:00:00Z, a time from now (30d, 12h, 90m), or never; default: TOKEN_LIFETIME_DAYS",
        )

    def handle(self, *args: object, **options: Any) -> None:
        user = _user(options["user"])
        scopes = options["scopes"].replace(",", " ").split()
        lacking = [scope for scope in scopes if scope in SCOPES and scope not in scopes_of(user)]
        if lacking:
            raise CommandError(f"{user.get_username()} does not have these rights: {', '.join(lacking)}")
        try:
            row, text = make_token(
                user,
                options["name"],
                scopes,
                services=_services(options["services"]),
                expires=_expires(options["expires"]),
                created_by="manage.py token",
            )
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        by = Caller(name="manage.py token")
        record(by, "create", "token", row, after=as_json(row))
        self.stdout.write(text)


def _user(name: str) -> User:
    users = get_user_model().objects.filter(is_active=True)
    user = users.filter(**{users.model.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"active user {name} not found")
    return user


def _services(text: str) -> list[int]:
    numbers = []
    for which in text.replace(",", " ").split():
        number = parse_id(which)
        service = MicroService.objects.filter(**({"name": which} if number is None else {"pk": number})).first()
        if service is None:
            raise CommandError(f"service {which} not found")
        numbers.append(service.pk)
    return numbers


def _expires(text: str | None) -> datetime | None:
    if not text:
        return default_expiry()
    if text == "never":
        return None
    span = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if span:
        return timezone.now() + timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError("--expires must be a time such as 2027-01-31T00:00:00Z, a span such as 30d, or never")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
