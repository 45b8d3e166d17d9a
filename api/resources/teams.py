"""/teams/: people who own services together, and what each is in the team."""

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
    """Somebody and their role: viewer, publisher, deployer or owner."""

    user: StrictInt | StrictStr = Field(description="Exact name; the id only by administrators, or of a member")
    role: base.Text


class MemberUpdate(base.Body):
    role: base.Text


class TeamUpdate(base.Body):
    """A team's fields; what is not named stays. `members`, where named, is the whole list."""

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


@router.get("/teams/", response=TeamList)
@needs("read", bound=NEVER)
def list_teams(request: HttpRequest, query: paging.Page):
    """The caller's own teams; all of them for admins."""
    return paging.page(query, teams.visible_teams(caller(request)), "name").answer(TeamList, form)


@router.post("/teams/", response={201: TeamOut})
@needs("admin", bound=NEVER)
@transaction.atomic
def create_team(request: HttpRequest, body: TeamCreate, response: HttpResponse):
    """Makes a team."""
    team = teams.create_team(caller(request), body.given())
    record(caller(request), "create", "team", team, after=body.given())
    response["Location"] = f"/api/v1/teams/{team.pk}"
    return Status(201, form(team))


@router.get("/teams/{id}", response=TeamOut)
@needs("read", bound=NEVER)
def get_team(request: HttpRequest, id: base.PathId):
    """One team, with its members."""
    return form(teams.find_team(caller(request), id))


@router.patch("/teams/{id}", response=TeamOut)
@needs("admin", owners=True, bound=NEVER)
@transaction.atomic
def change_team(request: HttpRequest, id: base.PathId, body: TeamUpdate):
    """Changes the fields that are named. An owner changes the members, an admin the name too."""
    who = caller(request)
    before = form(teams.find_team(who, id))
    team = teams.change_team(who, teams.find_team(who, id), body.given())
    record(who, "change", "team", team, before=_as_named(before, body), after=body.given())
    return form(team)


@router.delete("/teams/{id}", response={204: None})
@needs("admin", bound=NEVER)
@transaction.atomic
def delete_team(request: HttpRequest, id: base.PathId):
    """Deletes a team that owns no services."""
    team = teams.find_team(caller(request), id)
    teams.delete_team(caller(request), team)
    record(caller(request), "delete", "team", None, subject_name=team.name)
    return Status(204, None)


@router.get("/teams/{id}/members/", response=MemberList)
@needs("read", bound=NEVER)
def list_members(request: HttpRequest, id: base.PathId, query: paging.Page):
    """Who is in a team, and as what."""
    found = form(teams.find_team(caller(request), id))
    return paging.page_of(query, found.members).answer(MemberList, lambda member: member)


@router.post("/teams/{id}/members/", response={201: MemberOut})
@needs("admin", owners=True, bound=NEVER)
def add_member(request: HttpRequest, id: base.PathId, body: MemberCreate, response: HttpResponse):
    """Takes somebody in, or gives a member another role."""
    made = _set(request, id, body.user, body.role)
    response["Location"] = f"/api/v1/teams/{id}/members/{made.user_id}"
    return Status(201, made)


@router.get("/teams/{id}/members/{user}", response=MemberOut)
@needs("read", bound=NEVER)
def get_member(request: HttpRequest, id: base.PathId, user: base.PathId):
    """As what somebody is in a team."""
    found = next((one for one in form(teams.find_team(caller(request), id)).members if one.user_id == user), None)
    if found is None:
        raise not_found("member")
    return found


@router.patch("/teams/{id}/members/{user}", response=MemberOut)
@needs("admin", owners=True, bound=NEVER)
def change_member(request: HttpRequest, id: base.PathId, user: base.PathId, body: MemberUpdate):
    """Gives a member another role."""
    _member(teams.find_team(caller(request), id), user)
    return _set(request, id, user, body.role)


@router.delete("/teams/{id}/members/{user}", response={204: None})
@needs("admin", owners=True, bound=NEVER)
@transaction.atomic
def remove_member(request: HttpRequest, id: base.PathId, user: base.PathId):
    """Takes somebody out of a team."""
    who = caller(request)
    team = teams.find_team(who, id)
    teams.remove_member(who, team, user)
    record(who, "change", "team", team, before={"member": user}, after={"member": None})
    return Status(204, None)


def form(team: Team) -> TeamOut:
    members = sorted(team.memberships.all(), key=lambda one: one.user.get_username())
    return TeamOut.model_construct(
        **{name: getattr(team, name) for name in ("id", "name", "description", "created", "created_by")},
        members=[
            MemberOut.model_construct(user_id=one.user_id, username=one.user.get_username(), role=one.role)
            for one in members
        ],
    )


@transaction.atomic
def _set(request: HttpRequest, number: int, user: int | str, role: str) -> MemberOut:
    who = caller(request)
    team = teams.find_team(who, number)
    made = teams.set_member(who, team, user, role)
    record(who, "change", "team", team, after={"member": made.user.get_username(), "role": role})
    return MemberOut.model_construct(user_id=made.user_id, username=made.user.get_username(), role=made.role)


def _member(team: Team, user: int) -> None:
    if not any(one.user_id == user for one in team.memberships.all()):
        raise not_found("member")


def _as_named(before: TeamOut, body: TeamUpdate) -> dict:
    told = {name: getattr(before, name) for name in body.given()}
    if "members" in told:
        told["members"] = [{"user": one.username, "role": one.role} for one in told["members"]]
    return told
