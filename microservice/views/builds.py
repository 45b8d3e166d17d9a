"""Starting a version's build at its origin."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from builds import requests
from microservice import catalog
from microservice.queries import services

from .guard import complain, go, page, say


@page("publish", ("POST",))
def build(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    """Asked for twice while it goes on, it is built once."""
    service = services.service(caller, name)
    found = catalog.find_version(catalog.find_service(caller, service.pk, "publish"), number)
    try:
        requests.start(caller, found)
        say(request, _("%(version)s is being built.") % {"version": found.version})
    except Problem as problem:
        complain(request, problem)
    return go("version", service.name, number)
