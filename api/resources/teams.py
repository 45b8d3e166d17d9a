"""/teams/: teams that own services and hosts, and their members with roles."""

from datetime import datetime

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictInt, StrictStr

from access import teams
from access.models import Team
from access.problems import not_found
from audit.history import record

from .. import paging
from ..auth import NEVER, caller, needs
from ..schemas import base

router = Router()


class MemberCreate(base.Body):
    """A user and their role: viewer, publisher, deployer or owner."""

    user: StrictInt | StrictStr = Field(description="Exact name, or the id (for administrators, and of members)")
    role: base.Text


class MemberUpdate(base.Body):
    role: base.Text


class TeamUpdate(base.Body):
    """The fields of a team to change; the others stay. `members` replaces the whole list."""

    name: base.Text = ""
    description: base.Text = ""
    members: list[MemberCreate] = []


class TeamCreate(TeamUpdate):
    name: base.Text


class MemberOut(Schema):
    user_id: int
    username: str
    role: str


class TeamOut(Schema):
    id: int
    name: str
    description: str
    members: list[MemberOut]
    created: datetime
    created_by: str


class TeamList(base.ListPage):
    data: list[TeamOut]


class MemberList(base.ListPage):
    data: list[MemberOut]


@router.get("/teams/", response=TeamList, summary="List teams")
@needs("read", bound=NEVER)
def list_teams(request: HttpRequest, query: paging.Page) -> TeamList:
    """List the caller's teams; all teams for administrators."""
    return paging.page(query, teams.visible_teams(caller(request)), "name").answer(TeamList, serialize)


@router.post("/teams/", response={201: TeamOut}, summary="Create a team")
@needs("admin", bound=NEVER)
@transaction.atomic
def create_team(request: HttpRequest, body: TeamCreate, response: HttpResponse) -> Status[TeamOut]:
    """Create a team."""
    team = teams.create_team(caller(request), body.given())
    record(caller(request), "create", "team", team, after=body.given())
    response["Location"] = f"/api/v1/teams/{team.pk}"
    return Status(201, serialize(team))


@router.get("/teams/{id}", response=TeamOut, summary="Get a team")
@needs("read", bound=NEVER)
def get_team(request: HttpRequest, id: base.PathId) -> TeamOut:
    """Return a team, with its members."""
    return serialize(teams.find_team(caller(request), id))


@router.patch("/teams/{id}", response=TeamOut, summary="Update a team")
@needs("admin", owners=True, bound=NEVER)
@transaction.atomic
def change_team(request: HttpRequest, id: base.PathId, body: TeamUpdate) -> TeamOut:
    """Change the named fields. Owners may change the members, administrators the name too."""
    who = caller(request)
    before = serialize(teams.find_team(who, id))
    team = teams.change_team(who, teams.find_team(who, id), body.given())
    record(who, "change", "team", team, before=_as_named(before, body), after=body.given())
    return serialize(team)


@router.delete("/teams/{id}", response={204: None}, summary="Delete a team")
@needs("admin", bound=NEVER)
@transaction.atomic
def delete_team(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a team that owns no services."""
    team = teams.find_team(caller(request), id)
    teams.delete_team(caller(request), team)
    record(caller(request), "delete", "team", None, subject_name=team.name)
    return Status(204, None)


@router.get("/teams/{id}/members/", response=MemberList, summary="List members")
@needs("read", bound=NEVER)
def list_members(request: HttpRequest, id: base.PathId, query: paging.Page) -> MemberList:
    """List the members of a team with their roles."""
    team = serialize(teams.find_team(caller(request), id))
    return paging.page_of(query, team.members).answer(MemberList, lambda member: member)


@router.post("/teams/{id}/members/", response={201: MemberOut}, summary="Add a member")
@needs("admin", owners=True, bound=NEVER)
def add_member(request: HttpRequest, id: base.PathId, body: MemberCreate, response: HttpResponse) -> Status[MemberOut]:
    """Add a member, or change the role of one."""
    member = _set(request, id, body.user, body.role)
    response["Location"] = f"/api/v1/teams/{id}/members/{member.user_id}"
    return Status(201, member)


@router.get("/teams/{id}/members/{user}", response=MemberOut, summary="Get a member")
@needs("read", bound=NEVER)
def get_member(request: HttpRequest, id: base.PathId, user: base.PathId) -> MemberOut:
    """Return the role of a member."""
    member = next((one for one in serialize(teams.find_team(caller(request), id)).members if one.user_id == user), None)
    if member is None:
        raise not_found("member")
    return member


@router.patch("/teams/{id}/members/{user}", response=MemberOut, summary="Update a member")
@needs("admin", owners=True, bound=NEVER)
def change_member(request: HttpRequest, id: base.PathId, user: base.PathId, body: MemberUpdate) -> MemberOut:
    """Change the role of a member."""
    _member(teams.find_team(caller(request), id), user)
    return _set(request, id, user, body.role)


@router.delete("/teams/{id}/members/{user}", response={204: None}, summary="Remove a member")
@needs("admin", owners=True, bound=NEVER)
@transaction.atomic
def remove_member(request: HttpRequest, id: base.PathId, user: base.PathId) -> Status[None]:
    """Remove a member from a team."""
    who = caller(request)
    team = teams.find_team(who, id)
    teams.remove_member(who, team, user)
    record(who, "change", "team", team, before={"member": user}, after={"member": None})
    return Status(204, None)


def serialize(team: Team) -> TeamOut:
    members = sorted(team.memberships.all(), key=lambda member: member.user.get_username())
    return TeamOut.model_construct(
        **{name: getattr(team, name) for name in ("id", "name", "description", "created", "created_by")},
        members=[
            MemberOut.model_construct(user_id=member.user_id, username=member.user.get_username(), role=member.role)
            for member in members
        ],
    )


@transaction.atomic
def _set(request: HttpRequest, number: int, user: int | str, role: str) -> MemberOut:
    who = caller(request)
    team = teams.find_team(who, number)
    membership = teams.set_member(who, team, user, role)
    record(who, "change", "team", team, after={"member": membership.user.get_username(), "role": role})
    return MemberOut.model_construct(
        user_id=membership.user_id, username=membership.user.get_username(), role=membership.role
    )


def _member(team: Team, user: int) -> None:
    if not any(one.user_id == user for one in team.memberships.all()):
        raise not_found("member")


def _as_named(before: TeamOut, body: TeamUpdate) -> dict:
    fields = {name: getattr(before, name) for name in body.given()}
    if "members" in fields:
        fields["members"] = [{"user": member.username, "role": member.role} for member in fields["members"]]
    return fields
