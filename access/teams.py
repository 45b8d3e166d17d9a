"""Create, change and delete teams and their members. Refusals are Problems.

Each function checks that the caller may do it. Callers write the audit history, which this app does not know.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from runtime.ids import parse_id

from .accounts import lookup_user, require_admin
from .callers import Caller
from .models import Membership, Team
from .problems import invalid, not_found, refused
from .roles import Role
from .rollback import rolls_back

MAX_NAME, MAX_DESCRIPTION = 64, 256  # characters


def visible_teams(caller: Caller) -> QuerySet[Team]:
    """Return the teams that the caller may see: their own, or all of them."""
    teams = Team.objects.prefetch_related("memberships__user")
    if caller.services:  # a token limited to some services sees nothing else
        return teams.none()
    return teams if caller.teams is None else teams.filter(pk__in=caller.teams)


def find_team(caller: Caller, team_id: int) -> Team:
    team = visible_teams(caller).filter(pk=team_id).first()
    if team is None:
        raise not_found("team")
    return team


def lookup_team(id_or_name: int | str) -> Team:
    """Return a team by id or name. Raise 422 at /team where there is none."""
    text = str(id_or_name)
    number = parse_id(text)
    team = Team.objects.filter(**({"name": text} if number is None else {"pk": number})).first()
    if team is None:
        raise invalid("/team", "team_unknown")
    return team


def create_team(caller: Caller, fields: dict[str, Any]) -> Team:
    """Create a team, with `members` ([{"user", "role"}]) where they are given. Raise 409 `team_exists`."""
    require_admin(caller)
    members = fields.get("members")
    team = Team(created_by=caller.name)
    _set_fields(team, fields)
    with transaction.atomic():
        _save(team)
        if members:
            set_members(caller, team, members)
    return find_team(caller, team.pk)


@rolls_back
def change_team(caller: Caller, team: Team, fields: dict[str, Any]) -> Team:
    """Change name or description (administrators), or the whole list of members (also owners)."""
    _require_owner(caller, team)
    if "name" in fields or "description" in fields:
        require_admin(caller)
    with transaction.atomic():
        _set_fields(team, fields)
        _save(team)
        if "members" in fields:
            set_members(caller, team, fields["members"] or [])
    return find_team(caller, team.pk)


def delete_team(caller: Caller, team: Team) -> None:
    """Delete a team. Raise 409 `team_in_use` where it has services or hosts, or approves in an environment."""
    require_admin(caller)
    try:
        with transaction.atomic():
            Team.objects.get(pk=team.pk).delete()
    except ProtectedError as error:
        held = ("services", "approves", "hosts")
        by = next((name for name in held if getattr(team, name).exists()), "hosts")
        raise refused(f"team_in_use.{by}", team=team.name) from error


def set_members(caller: Caller, team: Team, members: list[dict[str, Any]]) -> None:
    """Replace the team's members by these: [{"user": id or name, "role"}]."""
    roles: dict[int, str] = {}
    for index, member in enumerate(members):
        user = _lookup_member(caller, team, member["user"], f"/members/{index}/user")
        roles[user.pk] = _role(member["role"], f"/members/{index}/role")
    with transaction.atomic():
        team.memberships.exclude(user__in=roles).delete()
        for user_id, role in roles.items():
            Membership.objects.update_or_create(team=team, user_id=user_id, defaults={"role": role})
    _require_an_owner(caller, team)


def set_member(caller: Caller, team: Team, user: int | str, role: str) -> Membership:
    """Add a member, or change a member's role."""
    _require_owner(caller, team)
    with transaction.atomic():
        membership, _ = Membership.objects.update_or_create(
            team=team, user=_lookup_member(caller, team, user, "/user"), defaults={"role": _role(role, "/role")}
        )
        _require_an_owner(caller, team)
    return membership


def remove_member(caller: Caller, team: Team, user_id: int) -> None:
    _require_owner(caller, team)
    with transaction.atomic():
        if not team.memberships.filter(user=user_id).delete()[0]:
            raise not_found("member")
        _require_an_owner(caller, team)


def _require_owner(caller: Caller, team: Team) -> None:
    if not caller.owns(team.pk):
        raise refused("forbidden.team_owner", team=team.name)


def _require_an_owner(caller: Caller, team: Team) -> None:
    """Raise 409 where an owner who is not an administrator leaves no owner: no member could change the team."""
    if not caller.may("admin") and not team.memberships.filter(role=Role.OWNER).exists():
        raise refused("last_owner", team=team.name)


def _save(team: Team) -> None:
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError as error:
        raise refused("team_exists", name=team.name) from error


def _set_fields(team: Team, fields: dict[str, Any]) -> None:
    for name, limit in (("name", MAX_NAME), ("description", MAX_DESCRIPTION)):
        if name in fields:
            value = fields[name]
            if len(value) > limit or not value.isprintable():
                raise invalid(f"/{name}", "printable", max=limit)
            if name == "name" and not value.strip():
                raise invalid("/name", "length", max=limit)
            setattr(team, name, value.strip())
    if team.name.isdigit():
        raise invalid("/name", "all_digits")


def _lookup_member(caller: Caller, team: Team, id_or_name: int | str, pointer: str) -> User:
    """Return a user by exact name; by id for administrators, and for others only of the team's members.

    Otherwise all accounts of the system could be listed by trying one id after the other. All refusals are alike.
    """
    any_user = isinstance(id_or_name, str) or caller.may("admin")
    known = User.objects.all() if any_user else User.objects.filter(memberships__team=team)
    return lookup_user(known, id_or_name, pointer)


def _role(role: str, pointer: str) -> str:
    if role not in Role.values:
        raise invalid(pointer, "one_of", allowed=Role.values)
    return role
