"""The names that a chooser proposes while its user types."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from access.callers import Caller
from access.problems import refused

from ..queries import choices
from .decorators import page, query


@page(look="")
def find(request: HttpRequest, caller: Caller, kind: str) -> HttpResponse:
    """Return what the user may choose, by name: [{"name", "detail"}], and whether there is `more`. One query."""
    if kind not in choices.KINDS:
        raise refused("not_found.page")
    found, more = choices.find(caller, kind, query(request, "q")["q"])
    return JsonResponse({"found": [{"name": one.name, "detail": one.detail} for one in found], "more": more})
