"""What a service keeps secret: set, replaced and removed. No value is ever sent to a browser."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, invalid
from microservice import catalog

from ..forms.secrets import SecretForm, kept
from ..queries import services
from .decorators import flash, flash_problem, page, redirect_to


@page("admin", ("POST",), owners=True)
def secret(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Sets one, or removes the one that is named."""
    service = catalog.find_service(caller, services.service(caller, name).pk, "admin")
    try:
        if request.POST.get("what") == "remove":
            named = (request.POST.get("of"), request.POST.get("name", ""))
            changes = [one.removal() for one in kept(service) if (one.of, one.name) == named]
            said = _("The secret was removed.")
        else:
            form = SecretForm(request.POST)
            if not form.is_valid():
                field, reasons = next(iter(form.errors.items()))
                raise invalid(f"/{field}", str(reasons[0]))
            changes = [form.change()]
            said = _("The secret was set. Commands see it from the next deployment or build on.")
        for change in changes:
            catalog.change_service(caller, service, change)
        flash(request, said)
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("service_settings", service.name)
