"""Reads a JSON body strictly: what no database, shell or page could take is refused here, with the place it lies at."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from access.problems import Problem, invalid

from . import uploads

MAX_DEPTH = 32


class StrictParser(Parser):
    """Raises a Problem: 400 for what is no JSON, 422 for texts with NUL or half a character."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type == uploads.FORM:  # the gate lets it through where the endpoint takes it
            return uploads.fields(request)
        raw = request.body
        try:
            data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Problem(400, "not_json", "The body is not JSON in UTF-8.", "Send a JSON document.") from error
        for pointer, text in _texts(data, "", 0):
            if "\0" in text:
                raise invalid(pointer, "must not contain NUL")
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise invalid(pointer, "contains half a character (a lone surrogate)")
        return data

    def parse_querydict(self, data, list_fields, request):
        for name, values in data.lists():
            if any("\0" in text for text in (name, *values)):
                raise invalid("/query", "must not contain NUL")
        return super().parse_querydict(data, list_fields, request)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _texts(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise invalid(pointer, f"is nested deeper than {MAX_DEPTH} levels")
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
