"""The schemas that the resources of the API share."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from django.db.models import IntegerChoices
from ninja import Field, Path, Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, StrictStr

from messages.invalid import InvalidValue
from runtime.ids import parse_number

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
PathId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = StrictStr


def _rfc3339(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value, re.ASCII):
        raise InvalidValue("time_syntax")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class Body(Schema):
    """The body of a request. An unknown field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Return only the fields that the request named."""
        return self.model_dump(exclude_unset=True)


class FieldError(Schema):
    """One error of a request: what is wrong, and where. It may have further fields, such as the ids of rows."""

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(description="A JSON pointer into the body; or /query/name, /path/name, /header/name")
    reason: str = Field(description="What is wrong, in English")
    code: str = Field("", description="A stable word for the reason")
    params: dict[str, Any] = Field({}, description="The values in the reason, by name")
    instance_id: int | None = None
    host_id: int | None = None


class Problem(Schema):
    """Every refused request (RFC 9457), as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong, in English")
    code: str = Field(description="A stable word; each is described at /api/v1/docs/errors")
    params: dict[str, Any] = Field({}, description="The values in `detail` and `hint`, by name")
    msg: str = Field(description="The same as `detail`")
    errors: list[FieldError]
    hint: str = Field(description="What to do next")
    request_id: str = Field("", description="The id of the request in the logs")


class ListPage(Schema):
    """What every list has beside its `data`."""

    count: int = Field(description="Number of rows in the whole list")
    next: str | None = Field(description="The cursor of the next page; null on the last page")
    code: int = 0


def number_or_word(choices: type[IntegerChoices]) -> Callable[[Any], int]:
    """Return a validator that accepts a status as its number or its word, and returns the number."""
    by_word = {choice.label: choice.value for choice in choices}

    def read(value: Any) -> int:
        if isinstance(value, str) and (number := parse_number(value)) is not None:
            value = number
        if isinstance(value, str) and value in by_word:
            return by_word[value]
        if isinstance(value, int) and not isinstance(value, bool) and value in choices.values:
            return value
        raise InvalidValue("not_one_of", choices=[f"{choice.label} ({choice.value})" for choice in choices])

    return read
