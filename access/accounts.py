"""Users, teams and who is what in them: made, changed and deleted under their rules. Refuses with Problem.

That the caller may is asked at the top of each. The history is written by who calls: this app does not know it.
"""

import re

from django.contrib.auth import password_validation
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from . import service_accounts
from .callers import Caller
from .models import Membership, Team, Token
from .problems import Problem, conflict, forbidden, invalid, not_found
from .reauthentication import check_ways_in
from .revocation import end_access
from .roles import Role
from .rollback import rolls_back

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,149}\Z")


def users() -> QuerySet[User]:
    return User.objects.select_related("service_account").prefetch_related("memberships__team")


def find_user(number: int) -> User:
    found = users().filter(pk=number).first()
    if found is None:
        raise not_found("user")
    return found


def user_named(which: int | str) -> User:
    """A user by id or name, for administrators. 422 at /user for one that is not there."""
    return _found(User.objects.all(), which, "/user")


def create_user(caller: Caller, fields: dict) -> User:
    """A new person, or with `service` a service account. Without a password they cannot sign in until one is given.
    409 `user_exists`."""
    _admin(caller)
    user = User(is_active=True)
    check_ways_in(caller, user, fields)
    if service := bool(fields.get("service")):
        service_accounts.check_no_password(fields)
    _fill(user, fields)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            if service:
                service_accounts.mark(user, caller.name)
    except IntegrityError as error:
        raise conflict("user_exists", f"There is a user called {user.get_username()} already.") from error
    return find_user(user.pk)


@rolls_back
def change_user(caller: Caller, user: User, fields: dict) -> User:
    """Changes the fields that are named. Nobody shuts themselves out: somebody else has to.

    Whose password is changed here, and who is shut out, loses all sessions and tokens; they do not come back."""
    _admin(caller)
    check_ways_in(caller, user, fields)
    if service_accounts.is_service(user):
        service_accounts.check_no_password(fields)
    losing = (fields.get("admin") is False and user.is_superuser) or (fields.get("active") is False and user.is_active)
    if losing and user.pk == caller.user_id:
        raise conflict("own_account", "You cannot take your own rights away.", "Another administrator can.")
    was_active = user.is_active
    _fill(user, fields)
    try:
        with transaction.atomic():
            user.save()
            if fields.get("active") is False:
                end_access(caller, user, "the account was shut out")
            elif not was_active and user.is_active:  # also what is left from before accounts lost theirs
                end_access(caller, user, "the account was given back")
            elif fields.get("password"):
                end_access(caller, user, "the password was reset")
    except IntegrityError as error:
        raise conflict("user_exists", f"There is a user called {user.get_username()} already.") from error
    return find_user(user.pk)


def delete_user(caller: Caller, user: User) -> None:
    """Deletes a person with their tokens and memberships; what they did stays in the history under their name."""
    _admin(caller)
    if user.pk == caller.user_id:
        raise conflict("own_account", "You cannot delete your own account.", "Another administrator can.")
    with transaction.atomic():
        Token.objects.filter(user=user).delete()
        Membership.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).delete()


def change_own_password(caller: Caller, user: User, new: str, *, keep: str = "", with_tokens: bool = True) -> None:
    """Gives somebody the password that they chose, after `prove` has shown that they know the one so far. Ends their
    sessions but the one with the digest `keep`, and their tokens. 422 at /password."""
    _fill(user, {"password": new})
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_access(caller, user, "the password was changed", keep=keep, with_tokens=with_tokens)


def _fill(user: User, fields: dict) -> None:
    errors = [error for name, value in fields.items() if (error := _text_error(name, value))]
    if errors:
        raise _all_of(errors)
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
            raise _all_of([{"pointer": "/password", "reason": str(reason)} for reason in error.messages]) from error
        user.set_password(password)
    elif user.pk is None:
        user.set_unusable_password()


def _text_error(name: str, value: object) -> dict | None:
    if not isinstance(value, str):
        return None
    reason = ""
    if name == "username" and not USERNAME.match(value):
        reason = "must be 1 to 150 letters, digits and @ . + - _, with a letter or digit first"
    elif name == "email" and value:
        try:
            validate_email(value)
        except ValidationError:
            reason = "is no e-mail address"
        reason = "is longer than 254 characters" if len(value) > 254 else reason
    elif name in ("first_name", "last_name") and (len(value) > 150 or not value.isprintable()):
        reason = "must be at most 150 printable characters"
    elif name == "password" and len(value) > 1000:
        reason = "is longer than 1000 characters"
    return {"pointer": f"/{name}", "reason": reason} if reason else None


# --- teams ------------------------------------------------------------------------------------------------------------


def teams(caller: Caller) -> QuerySet[Team]:
    """The teams that the caller may see: the own ones, or all of them."""
    found = Team.objects.prefetch_related("memberships__user")
    if caller.services:  # a token for named services is told of nothing beside them
        return found.none()
    return found if caller.teams is None else found.filter(pk__in=caller.teams)


def find_team(caller: Caller, number: int) -> Team:
    found = teams(caller).filter(pk=number).first()
    if found is None:
        raise not_found("team")
    return found


def team_named(which: int | str) -> Team:
    """A team by its id or its name. 422 at /team for one that is not there."""
    text = str(which)
    by = {"pk": int(text)} if text.isascii() and text.isdigit() and len(text) < 19 else {"name": text}
    found = Team.objects.filter(**by).first()
    if found is None:
        raise invalid("/team", "is no team")
    return found


def create_team(caller: Caller, fields: dict) -> Team:
    """A new team, with `members` ([{"user", "role"}]) where they are named. 409 `team_exists`."""
    _admin(caller)
    members = fields.get("members")
    team = Team(created_by=caller.name)
    _fill_team(team, fields)
    with transaction.atomic():
        _save(team)
        if members:
            set_members(caller, team, members)
    return find_team(caller, team.pk)


@rolls_back
def change_team(caller: Caller, team: Team, fields: dict) -> Team:
    """Changes name or description (admins), or the whole list of members (its owners too)."""
    if not caller.owns(team.pk):
        raise forbidden(f"You are no owner of {team.name}.", "Ask one of its owners, or an administrator.")
    if "name" in fields or "description" in fields:
        _admin(caller)
    with transaction.atomic():
        _fill_team(team, fields)
        _save(team)
        if "members" in fields:
            set_members(caller, team, fields["members"] or [])
    return find_team(caller, team.pk)


def delete_team(caller: Caller, team: Team) -> None:
    """Deletes a team that owns no services and has no hosts."""
    _admin(caller)
    try:
        with transaction.atomic():
            Team.objects.get(pk=team.pk).delete()
    except ProtectedError as error:
        what = "owns services" if team.services.exists() else "has hosts of its own"
        hint = "Give them to another team first, archived hosts too."
        raise conflict("team_in_use", f"{team.name} {what}.", hint) from error


def set_members(caller: Caller, team: Team, members: list[dict]) -> None:
    """The team has exactly these members: [{"user": id or name, "role"}]."""
    wanted: dict[int, str] = {}
    for place, entry in enumerate(members):
        user = _member(caller, team, entry["user"], f"/members/{place}/user")
        wanted[user.pk] = _role(entry["role"], f"/members/{place}/role")
    with transaction.atomic():
        team.memberships.exclude(user__in=wanted).delete()
        for number, role in wanted.items():
            Membership.objects.update_or_create(team=team, user_id=number, defaults={"role": role})
    _keep_an_owner(caller, team)


def set_member(caller: Caller, team: Team, user: int | str, role: str) -> Membership:
    """Takes somebody in, or gives a member another role."""
    if not caller.owns(team.pk):
        raise forbidden(f"You are no owner of {team.name}.", "Ask one of its owners, or an administrator.")
    with transaction.atomic():
        found = Membership.objects.update_or_create(
            team=team, user=_member(caller, team, user, "/user"), defaults={"role": _role(role, "/role")}
        )[0]
        _keep_an_owner(caller, team)
    return found


def remove_member(caller: Caller, team: Team, user_id: int) -> None:
    if not caller.owns(team.pk):
        raise forbidden(f"You are no owner of {team.name}.", "Ask one of its owners, or an administrator.")
    with transaction.atomic():
        if not team.memberships.filter(user=user_id).delete()[0]:
            raise not_found("member")
        _keep_an_owner(caller, team)


def _keep_an_owner(caller: Caller, team: Team) -> None:
    """An owner who is no administrator cannot leave the team without one: nobody of it could change it any more."""
    if not caller.may("admin") and not team.memberships.filter(role=Role.OWNER).exists():
        raise conflict("last_owner", f"{team.name} would have no owner left.", "Make somebody else an owner first.")


def _save(team: Team) -> None:
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError as error:
        raise conflict("team_exists", f"There is a team called {team.name} already.") from error


def _fill_team(team: Team, fields: dict) -> None:
    for name, most in (("name", 64), ("description", 256)):
        if name in fields:
            value = fields[name]
            if len(value) > most or not value.isprintable() or (name == "name" and not value.strip()):
                raise invalid(f"/{name}", f"must be at most {most} printable characters")
            setattr(team, name, value.strip())
    if team.name.isdigit():
        raise invalid("/name", "must not be all digits")


def _member(caller: Caller, team: Team, which: int | str, pointer: str) -> User:
    """Somebody by their exact name. Administrators may say the id, others only of who is in the team already: asked for
    one id after the other, the accounts of the whole system could be listed. What is refused is refused alike."""
    by_name = isinstance(which, str) or caller.may("admin")
    return _found(User.objects.all() if by_name else User.objects.filter(memberships__team=team), which, pointer)


def _found(known: QuerySet[User], which: int | str, pointer: str) -> User:
    by = {"username": which} if isinstance(which, str) else {"pk": which if which < 2**63 else 0}
    user = known.filter(**by).first()
    if user is None:
        raise invalid(pointer, "is not the name of a user")
    return user


def _role(role: str, pointer: str) -> str:
    if role not in Role.values:
        raise invalid(pointer, f"must be one of {', '.join(Role.values)}")
    return role


def _admin(caller: Caller) -> None:
    if not caller.may("admin"):
        raise forbidden("This needs the right admin.", "Ask an administrator.")


def _all_of(errors: list[dict]) -> Problem:
    problem = invalid(errors[0]["pointer"], errors[0]["reason"])
    problem.field_errors = list(errors)
    return problem
