"""A page's HTML on one line, so that a test does not depend on how its template is indented."""

import re

from django.http import HttpResponse

_AT_A_TAG = re.compile(r"(?<=>)\s*\n\s*|\s*\n\s*(?=<)")
_BREAK = re.compile(r"\s*\n\s*")


def markup(response: HttpResponse) -> str:
    """Return the HTML without line breaks: none beside a tag, a space for any other."""
    return _BREAK.sub(" ", _AT_A_TAG.sub("", response.content.decode()))
