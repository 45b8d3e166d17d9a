"""The schemas of tokens."""

from datetime import datetime

from ninja import Field, Schema
from pydantic import StrictInt, StrictStr

from .base import Body, ListPage, Moment, Text


class TokenCreate(Body):
    """A new token. `services`: ids or names of the services that it is limited to; empty: all that its user may see."""

    name: Text
    scopes: list[Text]
    services: list[StrictInt | StrictStr] = []
    expires: Moment | None = Field(
        None,
        description=(
            "Default: TOKEN_LIFETIME_DAYS from now. null: never; only for administrators and service accounts"
        ),
    )
    user: StrictInt | StrictStr | None = Field(None, description="Id or name of the service account that uses it")


class TokenOut(Schema):
    id: int
    name: str
    hint: str = Field(description="The first characters of the token")
    scopes: list[str]
    services: list[int]
    user: str
    parent_id: int | None = Field(description="The token that created it; it ends with that one")
    expires: datetime | None
    last_used: datetime | None
    created: datetime
    created_by: str


class TokenCreated(TokenOut):
    token: str = Field(description="Only in this answer; only its hash is stored")


class TokenList(ListPage):
    data: list[TokenOut]
