"""Reads JSON bodies strictly: text that a database, a shell or a page cannot hold is refused, with its pointer."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from access.problems import invalid, refused

from . import uploads

MAX_DEPTH = 32


class StrictParser(Parser):
    """Raises 400 for a body that is not JSON, 422 for text with NUL or an unpaired surrogate."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type == uploads.FORM:  # dispatch.py admits it only where the endpoint takes a form
            return uploads.fields(request)
        raw = request.body
        try:
            data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise refused("not_json") from error
        for pointer, text in _texts(data, "", 0):
            if "\0" in text:
                raise invalid(pointer, "nul")
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise invalid(pointer, "surrogate")
        request.parsed_body = data  # type: ignore[attr-defined]  # for the pointers of a refusal: errors.py
        return data

    def parse_querydict(
        self, data: MultiValueDict[str, str], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        for name, values in data.lists():
            if any("\0" in text for text in (name, *values)):
                raise invalid("/query", "nul")
        return super().parse_querydict(data, list_fields, request)


def has_field(request: HttpRequest, name: str) -> bool:
    """Return whether the request's body is a JSON object with this field. Never raises for another body."""
    try:
        data = json.loads(request.body) if name else None
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and name in data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _texts(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise invalid(pointer, "too_deep", max=MAX_DEPTH)
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield pointer, key
            safe = key.encode("ascii", "backslashreplace").decode().replace("~", "~0").replace("/", "~1")
            yield from _texts(item, f"{pointer}/{safe}", depth + 1)
