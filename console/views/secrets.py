"""A service's secrets: set, replaced and removed. No value is ever sent to a browser."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem, invalid
from messages.rendering import literal
from microservice import catalog

from ..forms.secrets import SecretForm, saved_secrets
from ..queries import services
from .decorators import flash, flash_problem, page, redirect_to


@page("admin", ("POST",), owners=True)
def secret(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Set a secret, or remove the named one."""
    service = catalog.find_service(caller, services.service(caller, name).pk, "admin")
    try:
        if request.POST.get("what") == "remove":
            key = (request.POST.get("of"), request.POST.get("name", ""))
            changes = [saved.removal() for saved in saved_secrets(service) if (saved.of, saved.name) == key]
            text = _("The secret was removed.")
        else:
            form = SecretForm(request.POST)
            if not form.is_valid():
                field, reasons = next(iter(form.errors.items()))
                raise invalid(f"/{field}", literal(str(reasons[0])))
            changes = [form.change()]
            text = _("The secret was saved. Commands see it from the next deployment or build.")
        for change in changes:
            catalog.change_service(caller, service, change)
        flash(request, text)
    except Problem as problem:
        flash_problem(request, problem)
    return redirect_to("service_settings", service.name)
