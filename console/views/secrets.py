"""A service's secrets: set, replaced and removed. No value is ever sent to a browser."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from access.callers import Caller
from access.problems import Problem
from microservice import catalog

from ..forms.secrets import SecretForm, field_of, saved_secrets
from ..queries import services
from ..refused_forms import keep
from .decorators import flash, page, redirect_to


@page("admin", ("POST",), owners=True, back=("service_settings", "name"))
def secret(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Set a secret, or remove the named one."""
    service = catalog.find_service(caller, services.service(caller, name).pk, "admin")
    if request.POST.get("what") == "remove":
        key = (request.POST.get("of"), request.POST.get("name", ""))
        for saved in [one for one in saved_secrets(service) if (one.of, one.name) == key]:
            catalog.change_service(caller, service, saved.removal())
        flash(request, _("The secret was removed."))
        return redirect_to("service_settings", service.name)
    form = SecretForm(request.POST, auto_id="secret_%s")
    try:
        if form.is_valid():
            catalog.change_service(caller, service, form.change())
            flash(request, _("The secret was saved. Commands see it from the next deployment or build."))
        else:
            keep(request, form)
    except Problem as problem:
        keep(request, form, problem, place=field_of)
    return redirect_to("service_settings", service.name)
