"""The star of a service."""

from django.http import HttpRequest, HttpResponse

from access.callers import Caller

from .. import favourites
from ..queries import services
from ..returning import go_back
from .decorators import page


@page(methods=("POST",), back=("fleet",))
def favourite(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Make the service a favourite of the caller (`on` is 1), or none any more."""
    service = services.service(caller, name)
    favourites.mark(caller.user_id or 0, service, request.POST.get("on") == "1")
    return go_back(request)
