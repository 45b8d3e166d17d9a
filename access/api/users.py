"""/users/: the people who may sign in."""
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictBool

from access import people
from microservice.api import paging, schemas
from microservice.api.auth import caller, needs
from microservice.history import record

router = Router()


class UserChange(schemas.Body):
    """A user's fields; what is not named stays. The password is never given out again."""

    username: schemas.Text = ""
    email: schemas.Text = ""
    first_name: schemas.Text = ""
    last_name: schemas.Text = ""
    admin: StrictBool = Field(False, description="May do everything, whatever the teams")
    active: StrictBool = Field(True, description="May sign in and use tokens")
    password: schemas.Text = Field("", description="Write-only; without one nobody can sign in by password")


class UserNew(UserChange):
    username: schemas.Text


class TeamOf(Schema):
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
    last_login: datetime | None
    created: datetime
    teams: list[TeamOf]


class UserList(schemas.Listed):
    data: list[UserOut]


@router.get("/users/", response=UserList)
@needs("admin")
def list_users(request: HttpRequest, query: paging.Page):
    """Everybody, newest first."""
    return paging.page(query, people.users()).answer(UserList, form)


@router.post("/users/", response={201: UserOut})
@needs("admin")
@transaction.atomic
def create_user(request: HttpRequest, body: UserNew, response: HttpResponse):
    """Adds a person."""
    user = people.create_user(caller(request), body.given())
    record(caller(request), "create", "user", user, after=_told(body))
    response["Location"] = f"/api/v1/users/{user.pk}"
    return Status(201, form(user))


@router.get("/users/{id}", response=UserOut)
@needs("admin")
def get_user(request: HttpRequest, id: schemas.PathId):
    """One person, with the teams they are in."""
    return form(people.find_user(id))


@router.patch("/users/{id}", response=UserOut)
@needs("admin")
@transaction.atomic
def change_user(request: HttpRequest, id: schemas.PathId, body: UserChange):
    """Changes the fields that are named."""
    user = people.change_user(caller(request), people.find_user(id), body.given())
    record(caller(request), "change", "user", user, after=_told(body))
    return form(user)


@router.delete("/users/{id}", response={204: None})
@needs("admin")
@transaction.atomic
def delete_user(request: HttpRequest, id: schemas.PathId):
    """Deletes a person with their tokens and memberships; the history keeps their name."""
    user = people.find_user(id)
    record(caller(request), "delete", "user", user)
    people.delete_user(caller(request), user)
    return Status(204, None)


def form(user: User) -> UserOut:
    return UserOut.model_construct(
        **{name: getattr(user, name) for name in ("id", "username", "email", "first_name", "last_name", "last_login")},
        admin=user.is_superuser, active=user.is_active, created=user.date_joined,
        teams=[TeamOf.model_construct(id=one.team_id, name=one.team.name, role=one.role)
               for one in user.memberships.all()],
    )


def _told(body: UserChange) -> dict:
    """What the history keeps: that a password was given, and never which."""
    return {name: "changed" if name == "password" else value for name, value in body.given().items()}
