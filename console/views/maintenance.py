"""Starts and ends the maintenance of instances, and says so on the next page."""

from collections.abc import Collection

from django.http import HttpRequest
from django.utils.translation import ngettext

from access.callers import Caller
from microservice import instances
from microservice.models import MicroService

from .decorators import flash, require_scope


def maintain(
    request: HttpRequest, caller: Caller, service: MicroService, numbers: Collection[int], begun: bool
) -> None:
    """Start (`begun`) or end the maintenance of instances (ids): of all, or with a Problem of none."""
    require_scope(caller, "deploy", service)
    instances.set_maintenance(caller, service, numbers, begun)
    n = len(numbers)
    if begun:
        text = ngettext("%(n)s instance is now in maintenance.", "%(n)s instances are now in maintenance.", n)
    else:
        text = ngettext(
            "%(n)s instance is no longer in maintenance.", "%(n)s instances are no longer in maintenance.", n
        )
    flash(request, text % {"n": n})
