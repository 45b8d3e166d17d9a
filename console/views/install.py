"""The dialog for putting a version on hosts that do not have the service yet."""

import uuid
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, invalid
from microservice.deployments import actions
from microservice.models import Deployment, MicroService, MicroServiceVersion

from ..once import once
from ..queries import services
from .decorators import page, query, redirect_to
from .version_change import Choice, beside, grouped, lasting


@dataclass(slots=True)
class Fields:
    """What the new instances are to be, as it was typed."""

    port: str = "0"
    tag: str = ""
    weight: str = "100"
    adopt: bool = False

    @classmethod
    def of(cls, data: QueryDict) -> "Fields":
        typed = {name: data.get(name, "").strip() for name in ("port", "tag", "weight") if name in data}
        return cls(**typed, adopt=data.get("adopt") == "on")

    def parsed(self) -> dict:
        return {
            "port": _number("port", self.port),
            "tag": self.tag,
            "weight": _number("weight", self.weight),
            "adopt": self.adopt,
        }


@page("deploy", ("GET", "POST"))
def install(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    service = services.service(caller, name)
    version = services.version(service, number)
    data = request.POST if request.method == "POST" else request.GET
    choice, fields, find = Choice.of(data), Fields.of(data), query(request, "find")["find"]
    problem = None
    if request.method == "POST":
        try:
            return redirect_to("deployment", _start(caller, service, version, choice, fields, data))
        except Problem as refusal:
            problem = refusal
    hosts, more = services.hosts_without(caller, service, choice.hosts, find)
    context = {"service": service, "version": version, "choice": choice, "find": find, "hosts": hosts, "more": more}
    if request.GET.get("part") == "hosts":
        return render(request, "change/install_hosts.html", context)
    plan, no_plan = _plan(caller, service, version, choice, fields)
    context |= {"fields": fields, "key": str(uuid.uuid4()), "problem": problem, "plan": plan, "no_plan": no_plan}
    context["wrong"] = beside(problem, no_plan)
    return render(request, "change/install.html", context, status=problem.status if problem else 200)


def _start(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    choice: Choice,
    fields: Fields,
    data: QueryDict,
) -> int:
    plan_token = data.get("plan_token", "")

    def start() -> Deployment:
        return actions.install(caller, service, version, **_asked(choice, fields), plan_token=plan_token)

    return once(caller, data.get("key", ""), f"{service.pk} {version.pk} install {choice} {fields} {plan_token}", start)


def _plan(
    caller: Caller, service: MicroService, version: MicroServiceVersion, choice: Choice, fields: Fields
) -> tuple[dict | None, Problem | None]:
    """The server's plan for the ticked hosts, or why there is none; neither where no host is ticked yet."""
    if not choice.hosts:
        return None, None
    try:
        plan = actions.preview_install(caller, service, version, **_asked(choice, fields))
    except Problem as refusal:
        return None, refusal
    return plan | {"groups": grouped(plan["targets"]), "lasting": lasting(plan["targets"])}, None


def _asked(choice: Choice, fields: Fields) -> dict:
    """Both what is previewed and what is sent. Raises Problem 422 for what cannot be meant."""
    if not choice.hosts:
        raise invalid("/host", "tick at least one host")
    return {"hosts": choice.hosts, "strategy": choice.course(), "allow_bad": choice.allow_bad, **fields.parsed()}


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise invalid(f"/{name}", "must be a whole number")
    return int(text)
