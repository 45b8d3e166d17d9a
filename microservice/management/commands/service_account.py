"""`manage.py service_account`: creates a service account, which owns the tokens of a pipeline instead of a person."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from access import accounts, teams
from access.callers import SYSTEM, Caller
from access.models import Team
from access.problems import Problem
from access.roles import Role
from access.service_accounts import is_service
from audit.history import record

CALLER = Caller(name="manage.py service_account", scopes=SYSTEM.scopes)


class Command(BaseCommand):
    help = "Create a service account, or give one a role in a team. It has tokens and no password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="its name: letters, digits and @ . + - _")
        parser.add_argument("--team", help="the team in which it has a role")
        parser.add_argument("--role", choices=Role.values, default=Role.PUBLISHER.value, help="default: publisher")

    @transaction.atomic
    def handle(self, *args: object, **options: Any) -> None:
        team = None
        if options["team"]:
            team = Team.objects.filter(name=options["team"]).first()
            if team is None:
                raise CommandError(f"team {options['team']} not found")
        try:
            user = _account(options["name"])
            if team:
                teams.set_member(CALLER, team, user.pk, options["role"])
                record(CALLER, "change", "team", team, after={"member": user.get_username(), "role": options["role"]})
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        where = f", {options['role']} of {team.name}" if team else ""
        self.stdout.write(f"{user.get_username()} is a service account{where}.")


def _account(name: str) -> User:
    user = get_user_model().objects.select_related("service_account").filter(username=name).first()
    if user is None:
        user = accounts.create_user(CALLER, {"username": name, "service": True})
        record(CALLER, "create", "user", user, after={"username": name, "service": True})
    elif not is_service(user):
        raise CommandError(f"{name} is a person's account: choose another name for the service account")
    return user
