"""The environment of many hosts: of the ticked ones, or of all that the list's filter means, beyond the page."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext

from access.callers import Caller
from access.problems import Problem
from asset import environments

from ..forms.confirmations import EnvironmentChangeForm
from ..queries import environments as queries
from ..refused_forms import keep
from .decorators import flash, page, posted_ids
from .host_labels import chosen_hosts, to_hosts


@page("admin", ("POST",))
def change_environment(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Bring the chosen hosts into an environment, or out of theirs."""
    form = EnvironmentChangeForm(request.POST, names=queries.names())
    ticked = [] if "all" in request.POST else posted_ids(request, "host")
    if not form.is_valid():
        keep(request, form, ticked=ticked)
        return to_hosts(request)
    try:
        into = form.cleaned_data["into"]
        place = None if into == environments.NONE else environments.lookup(into, "/into")
        hosts = chosen_hosts(request, caller, ticked).values_list("pk", flat=True)
        n = environments.place(caller, place, hosts)
        if place is None:
            text = ngettext("%(n)s host left its environment.", "%(n)s hosts left their environments.", n)
        else:
            text = ngettext("%(n)s host came into %(name)s.", "%(n)s hosts came into %(name)s.", n)
        flash(request, text % {"n": n, "name": place.name if place else ""})
    except Problem as problem:
        keep(request, form, problem, ticked=ticked)
    return to_hosts(request)
