"""Makes an API token and prints it."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
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
    help = "Makes an API token and prints it, alone, on standard output. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the token is for")
        parser.add_argument("--scopes", required=True, help=f"with commas between: {','.join(SCOPES)}")
        parser.add_argument(
            "--user",
            required=True,
            help="whose token it is: a service account (manage.py service_account), or a person",
        )
        parser.add_argument("--services", default="", help="ids or names with commas between; none: all")
        parser.add_argument(
            "--expires",
            help="2027-01-31T00:00:00Z, a time from now (30d, 12h, 90m) or never; "
            "after TOKEN_LIFETIME_DAYS days where it is not named",
        )

    def handle(self, *args: object, **options: Any) -> None:
        user = _user(options["user"])
        scopes = options["scopes"].replace(",", " ").split()
        lacking = [scope for scope in scopes if scope in SCOPES and scope not in scopes_of(user)]
        if lacking:
            raise CommandError(f"{user.get_username()} does not have the right {', '.join(lacking)}")
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


def _user(name: str):
    users = get_user_model().objects.filter(is_active=True)
    user = users.filter(**{users.model.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"there is no active user {name}")
    return user


def _services(text: str) -> list[int]:
    found = []
    for which in text.replace(",", " ").split():
        number = parse_id(which)
        service = MicroService.objects.filter(**({"name": which} if number is None else {"pk": number})).first()
        if service is None:
            raise CommandError(f"there is no service {which}")
        found.append(service.pk)
    return found


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
        raise CommandError("--expires is neither a time like 2027-01-31T00:00:00Z nor a span like 30d nor never")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
