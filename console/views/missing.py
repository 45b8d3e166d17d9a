"""The page of an address that does not exist."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from access.problems import refused

from .decorators import render_problem


@never_cache
def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render_problem(request, refused("not_found.page"))
