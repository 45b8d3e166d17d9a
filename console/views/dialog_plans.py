"""The plan of a dialog: what its page shows, and the next rows of a list that the page only begins."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.problems import refused
from microservice.deployments.default_strategy import default_strategy
from microservice.deployments.plan import Plan

from ..forms.version_change import StrategyForm
from ..queries import plan_details, plan_lists
from ..queries.plan_lists import Position
from .decorators import query

PART = "plan"


def shown(request: HttpRequest, form: StrategyForm, plan: Plan) -> dict[str, Any]:
    """Return what the templates show of a plan. `query`: the dialog's address with the same choices."""
    details = plan_details.details(plan, _position(request))
    default = default_strategy(plan.deployment.microservice, plan.deployment.environment)
    caution = form.caution(details["batches"], default)
    return details | {"caution": caution, "query": form.choices().urlencode()}


def of_waiting(request: HttpRequest, plan: Plan, address: str) -> dict[str, Any]:
    """Return the same of a plan without a dialog. `address`: of the page that has the next rows of its lists."""
    return plan_details.details(plan, _position(request)) | {"address": address, "query": "", "caution": {}}


def rows_of(request: HttpRequest, plan: Plan, address: str) -> HttpResponse:
    """Render the next rows of a list of such a plan."""
    return _rows(request, plan, {"address": address, "query": ""})


def next_rows(request: HttpRequest, form: StrategyForm, preview: Callable[[], Plan]) -> HttpResponse:
    """Render the next rows of one of the plan's lists. The plan is computed anew: its token decides whether it is the
    one that was shown."""
    if not form.is_valid():
        raise refused("not_found.page")
    return _rows(request, preview(), {"query": form.choices().urlencode()})


def _rows(request: HttpRequest, plan: Plan, shown: dict[str, Any]) -> HttpResponse:
    position = _position(request)
    found = plan_lists.lists(plan, position).find(position.name)
    if found is None:
        raise refused("not_found.page")
    return render(request, "change/plan_rows.html", {"list": found, "plan": shown})


def _position(request: HttpRequest) -> Position:
    return Position.of(query(request, "plan_list", "plan_after"))
