"""A service's secrets: set, replaced and removed. No value is ever sent to a browser."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from microservice import catalog

from ..forms.secrets import SecretForm, field_of, saved_secrets
from ..queries import services
from .decorators import flash, page, redirect_to
from .refused_forms import keep


@page("admin", ("POST",), owners=True)
def secret(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Set a secret, or remove the named one."""
    service = catalog.find_service(caller, services.service(caller, name).pk, "admin")
    form = SecretForm(request.POST, auto_id="secret_%s")
    try:
        if request.POST.get("what") == "remove":
            key = (request.POST.get("of"), request.POST.get("name", ""))
            changes = [saved.removal() for saved in saved_secrets(service) if (saved.of, saved.name) == key]
            text = _("The secret was removed.")
        else:
            if not form.is_valid():
                keep(request, form)
                return redirect_to("service_settings", service.name)
            changes = [form.change()]
            text = _("The secret was saved. Commands see it from the next deployment or build.")
        for change in changes:
            catalog.change_service(caller, service, change)
        flash(request, text)
    except Problem as problem:
        keep(request, form, problem, place=field_of)
    return redirect_to("service_settings", service.name)
