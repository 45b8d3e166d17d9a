"""/users/: the people and service accounts that may sign in or use tokens."""

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
    """The fields of a user to change; the others stay."""

    username: base.Text = ""
    email: base.Text = ""
    first_name: base.Text = ""
    last_name: base.Text = ""
    admin: StrictBool = Field(False, description="Administrator: may do everything, whatever the teams")
    active: StrictBool = Field(True, description="May sign in and use tokens")
    password: base.Text = Field("", description="Write-only; empty: no sign-in by password")


class UserCreate(UserUpdate):
    username: base.Text
    service: StrictBool = Field(False, description="A service account: it has tokens and roles, but no password")


class EndSessionsRequest(base.Body):
    tokens: StrictBool = Field(True, description="Whether to revoke the tokens too")


class EndedSessionsOut(Schema):
    sessions: int = Field(description="Number of sessions that ended")
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


@router.get("/users/", response=UserList, summary="List users")
@needs("admin")
def list_users(request: HttpRequest, query: paging.Page) -> UserList:
    """List all users, newest first."""
    return paging.page(query, accounts.users()).answer(UserList, serialize)


@router.post("/users/", response={201: UserOut}, summary="Create a user")
@needs("admin")
@transaction.atomic
def create_user(request: HttpRequest, body: UserCreate, response: HttpResponse) -> Status[UserOut]:
    """Create a user or a service account."""
    user = accounts.create_user(caller(request), body.given())
    record(caller(request), "create", "user", user, after=_recorded(body))
    response["Location"] = f"/api/v1/users/{user.pk}"
    return Status(201, serialize(user))


@router.get("/users/{id}", response=UserOut, summary="Get a user")
@needs("admin")
def get_user(request: HttpRequest, id: base.PathId) -> UserOut:
    """Return a user, with their teams."""
    return serialize(accounts.find_user(id))


@router.patch("/users/{id}", response=UserOut, summary="Update a user")
@needs("admin")
@transaction.atomic
def change_user(request: HttpRequest, id: base.PathId, body: UserUpdate) -> UserOut:
    """Change the named fields."""
    user = accounts.change_user(caller(request), accounts.find_user(id), body.given())
    record(caller(request), "change", "user", user, after=_recorded(body))
    return serialize(user)


@router.delete("/users/{id}", response={204: None}, summary="Delete a user")
@needs("admin")
@transaction.atomic
def delete_user(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a user with their tokens and memberships; the history keeps the name."""
    user = accounts.find_user(id)
    record(caller(request), "delete", "user", user)
    accounts.delete_user(caller(request), user)
    return Status(204, None)


@router.post("/users/{id}/end_sessions", response=EndedSessionsOut, summary="End a user's sessions")
@needs("tokens")
def end_sessions(request: HttpRequest, id: base.PathId, body: EndSessionsRequest) -> EndedSessionsOut:
    """End every session and token of a user: one's own, or anyone's with the right `admin`.

    The session that asks continues; a token that asks ends too, unless `tokens` is false.
    """
    who = caller(request)
    require_may_end(who, id)
    keep = session_of(request).digest if who.is_person else ""
    ended = end_access(who, accounts.find_user(id), "asked for", keep=keep, with_tokens=body.tokens)
    return EndedSessionsOut.model_construct(sessions=ended.sessions, tokens=len(ended.tokens))


def serialize(user: User) -> UserOut:
    return UserOut.model_construct(
        **{name: getattr(user, name) for name in ("id", "username", "email", "first_name", "last_name", "last_login")},
        admin=user.is_superuser,
        active=user.is_active,
        created=user.date_joined,
        service=service_accounts.is_service(user),
        teams=[
            TeamMembership.model_construct(id=membership.team_id, name=membership.team.name, role=membership.role)
            for membership in user.memberships.all()
        ],
    )


def _recorded(body: UserUpdate) -> dict:
    """Return what the history keeps: that a password was set, never which."""
    return {name: "changed" if name == "password" else value for name, value in body.given().items()}
