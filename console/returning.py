"""Back to the page where something was chosen."""

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme


def shows_a_page(path: str) -> bool:
    """Return whether a page of the console is shown at this path: not only a form taken."""
    try:
        needs = getattr(resolve(path).func, "needs", None)
    except Resolver404:
        return False
    return needs is not None and "GET" in needs.methods


def this_page(request: HttpRequest) -> str:
    """Return where a choice made on this page leads back to: after a form was refused, its page; else the first one."""
    if request.method == "GET":
        return request.get_full_path()
    return request.path if shows_a_page(request.path) else "/"


def go_back(request: HttpRequest) -> HttpResponseRedirect:
    """Return to the posted `next`, an address of this site; else to the first page."""
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    return HttpResponseRedirect(back)
