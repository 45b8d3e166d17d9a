"""/users/: the people who may sign in."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictBool

from access import accounts, service_accounts
from access.revocation import end_access, require_may_end
from access.sessions import session_of
from audit.history import record

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()


class UserUpdate(base.Body):
    """A user's fields; what is not named stays. The password is never given out again."""

    username: base.Text = ""
    email: base.Text = ""
    first_name: base.Text = ""
    last_name: base.Text = ""
    admin: StrictBool = Field(False, description="May do everything, whatever the teams")
    active: StrictBool = Field(True, description="May sign in and use tokens")
    password: base.Text = Field("", description="Write-only; without one nobody can sign in by password")


class UserCreate(UserUpdate):
    username: base.Text
    service: StrictBool = Field(False, description="A service account: has tokens and roles, and no password")


class EndSessionsRequest(base.Body):
    tokens: StrictBool = Field(True, description="Whether the tokens end too")


class EndedSessionsOut(Schema):
    sessions: int = Field(description="How many ended")
    tokens: int


class TeamMembership(Schema):
    id: int
    name: str
    role: str


class UserOut(Schema):
    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    admin: bool
    active: bool
    service: bool
    last_login: datetime | None
    created: datetime
    teams: list[TeamMembership]


class UserList(base.ListPage):
    data: list[UserOut]


@router.get("/users/", response=UserList)
@needs("admin")
def list_users(request: HttpRequest, query: paging.Page):
    """Everybody, newest first."""
    return paging.page(query, accounts.users()).answer(UserList, form)


@router.post("/users/", response={201: UserOut})
@needs("admin")
@transaction.atomic
def create_user(request: HttpRequest, body: UserCreate, response: HttpResponse):
    """Adds a person."""
    user = accounts.create_user(caller(request), body.given())
    record(caller(request), "create", "user", user, after=_told(body))
    response["Location"] = f"/api/v1/users/{user.pk}"
    return Status(201, form(user))


@router.get("/users/{id}", response=UserOut)
@needs("admin")
def get_user(request: HttpRequest, id: base.PathId):
    """One person, with the teams they are in."""
    return form(accounts.find_user(id))


@router.patch("/users/{id}", response=UserOut)
@needs("admin")
@transaction.atomic
def change_user(request: HttpRequest, id: base.PathId, body: UserUpdate):
    """Changes the fields that are named."""
    user = accounts.change_user(caller(request), accounts.find_user(id), body.given())
    record(caller(request), "change", "user", user, after=_told(body))
    return form(user)


@router.delete("/users/{id}", response={204: None})
@needs("admin")
@transaction.atomic
def delete_user(request: HttpRequest, id: base.PathId):
    """Deletes a person with their tokens and memberships; the history keeps their name."""
    user = accounts.find_user(id)
    record(caller(request), "delete", "user", user)
    accounts.delete_user(caller(request), user)
    return Status(204, None)


@router.post("/users/{id}/end_sessions", response=EndedSessionsOut)
@needs("tokens")
def end_sessions(request: HttpRequest, id: base.PathId, body: EndSessionsRequest):
    """Ends all sessions and tokens of a person: one's own, or with the right admin anybody's.

    The session that asks goes on; a token that asks ends too, unless `tokens` is false."""
    who = caller(request)
    require_may_end(who, id)
    keep = session_of(request).digest if who.is_person else ""
    what = end_access(who, accounts.find_user(id), "asked for", keep=keep, with_tokens=body.tokens)
    return EndedSessionsOut.model_construct(sessions=what.sessions, tokens=len(what.tokens))


def form(user: User) -> UserOut:
    return UserOut.model_construct(
        **{name: getattr(user, name) for name in ("id", "username", "email", "first_name", "last_name", "last_login")},
        admin=user.is_superuser,
        active=user.is_active,
        created=user.date_joined,
        service=service_accounts.is_service(user),
        teams=[
            TeamMembership.model_construct(id=one.team_id, name=one.team.name, role=one.role)
            for one in user.memberships.all()
        ],
    )


def _told(body: UserUpdate) -> dict:
    """What the history keeps: that a password was given, and never which."""
    return {name: "changed" if name == "password" else value for name, value in body.given().items()}
