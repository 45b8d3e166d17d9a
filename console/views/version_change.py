"""The dialog for upgrade and revert: what to go to, where, how; the plan that the server computed; one button."""

import uuid
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, conflict, invalid, not_found
from microservice import catalog
from microservice.deployments import actions
from microservice.deployments.destinations import BETWEEN_VERSIONS
from microservice.models import Deployment, MicroService, MicroServiceVersion
from microservice.status import Action

from ..once import once
from ..queries import dialog, services, version_diff
from .decorators import page, query, redirect_to

STRATEGY = ("batch_size", "canary", "max_failures", "on_failure", "pause_between")


@dataclass(slots=True)
class Choice:
    """What was chosen so far, as text, so that nothing typed is lost however wrong it is."""

    dest: str = ""
    everywhere: bool = True
    hosts: list[str] = field(default_factory=list)
    strategy: dict[str, str] = field(default_factory=dict)
    allow_bad: bool = False
    mark_bad: bool = False  # the version that a revert leaves
    reason: str = ""

    @classmethod
    def of(cls, data: QueryDict) -> "Choice":
        return cls(
            dest=data.get("dest", ""),
            everywhere=data.get("where", "all") != "some",
            hosts=data.getlist("host"),
            strategy={name: data.get(name, "").strip() for name in STRATEGY},
            allow_bad=data.get("allow_bad") == "on",
            mark_bad=data.get("mark_bad") == "on",
            reason=data.get("reason", "").replace("\0", ""),
        )

    def dest_id(self) -> int:
        if not (self.dest.isascii() and self.dest.isdigit() and len(self.dest) < 19):
            raise invalid("/dest_version", "choose a version to go to")
        return int(self.dest)

    def targets(self) -> str | list[str]:
        """As the API's `host`: what is ticked are hosts, by id."""
        if not (self.everywhere or self.hosts):
            raise invalid("/host", "tick at least one host, or choose all of them")
        return "all" if self.everywhere else self.hosts

    def course(self) -> dict:
        """The strategy as the API takes it; what was left empty is left out."""
        given: dict = {name: text for name, text in self.strategy.items() if text}
        for name in ("batch_size", "canary", "max_failures"):
            if given.get(name, "").isdigit():
                given[name] = int(given[name])
        if "pause_between" in given:
            given["pause_between"] = given["pause_between"] == "on"
        return given

    def __str__(self) -> str:
        bad = (self.allow_bad, self.mark_bad, self.reason)
        return repr((self.dest, self.everywhere, sorted(self.hosts), sorted(self.strategy.items()), bad))


@page("deploy", ("GET", "POST"))
def change(request: HttpRequest, caller: Caller, name: str, number: int, action: str) -> HttpResponse:
    """`action` is upgrade or revert, `number` the version that runs now."""
    service = services.service(caller, name)
    version = services.version(service, number)
    if action not in BETWEEN_VERSIONS:
        raise not_found("action")
    problem = None
    choice = Choice.of(request.POST if request.method == "POST" else request.GET)
    way = dialog.Way(version, Action(action), choice.allow_bad)
    if request.method == "POST":
        try:
            return redirect_to("deployment", _start(request, caller, service, version, action, choice))
        except Problem as refusal:
            problem = refusal
    elif part := _part(request, service, way, choice):
        return part
    context = _dialog(caller, service, way, choice, query(request, "find")["find"])
    context["problem"], context["wrong"] = problem, beside(problem, context.get("no_plan"))
    return render(request, "change/page.html", context, status=problem.status if problem else 200)


def _start(
    request: HttpRequest,
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    choice: Choice,
) -> int:
    plan_token = request.POST.get("plan_token", "")

    def start() -> Deployment:
        made = actions.request(
            caller,
            service,
            version,
            action,
            choice.targets(),
            choice.dest_id(),
            strategy=choice.course(),
            plan_token=plan_token,
            allow_bad=choice.allow_bad,
        )
        if choice.mark_bad and action == Action.REVERT:
            catalog.mark_bad(caller, version, choice.reason)
        return made

    return once(caller, request.POST.get("key", ""), f"{service.pk} {version.pk} {action} {choice} {plan_token}", start)


def _dialog(caller: Caller, service: MicroService, way: dialog.Way, choice: Choice, find: str) -> dict:
    """Everything that the dialog shows. With nothing chosen yet: the nearest sensible version, and every host."""
    version, action = way.version, way.action
    if not choice.dest:
        choice.dest = str(dialog.best(way) or "")
    offer = dialog.offer(way, choice.dest, find)
    hosts, more_hosts = dialog.hosts(service, version, choice.hosts)
    context = {
        **_about(service, way, choice, find),
        "key": str(uuid.uuid4()),
        "offer": offer,
        "hosts": hosts,
        "more_hosts": more_hosts,
    }
    try:
        if not choice.dest and not offer.total:
            where = "newer" if action == Action.UPGRADE else "older"
            raise conflict(
                "no_target",
                f"There is no version to {action} to: nothing {where} than {version.version} is built and good.",
                "Publish a version first." if action == Action.UPGRADE else "",
            )
        context["plan"] = _plan(caller, service, version, action, choice)
    except Problem as refusal:
        context["no_plan"] = refusal
    return context


def beside(*refusals: Problem | None) -> dict[str, str]:
    """What is wrong with which field, by the field's name: the reason stands beside it."""
    errors = [error for refusal in refusals if refusal for error in refusal.errors]
    return {error["pointer"].rpartition("/")[2]: error["reason"] for error in errors if error.get("pointer")}


def grouped(targets: list[dict]) -> list[dict]:
    """Hosts that have the very same steps, told together."""
    groups: dict[str, dict] = {}
    for target in targets:
        group = groups.setdefault(repr(target["steps"]), {"steps": target["steps"], "hosts": []})
        group["hosts"].append(target["host"])
    return list(groups.values())


def lasting(targets: list[dict]) -> list[str]:
    """The steps that cannot be undone on one of these hosts at least."""
    return sorted({name for target in targets for name in target["cannot_be_undone"]})


def _about(service: MicroService, way: dialog.Way, choice: Choice, find: str) -> dict:
    return {"service": service, "version": way.version, "action": str(way.action), "choice": choice, "find": find}


def _part(request: HttpRequest, service: MicroService, way: dialog.Way, choice: Choice) -> HttpResponse | None:
    """Only a list that the page's script asks for: versions that were searched for, or what follows in a list."""
    asked = query(request, "part", "find", "after")
    context = _about(service, way, choice, asked["find"])
    if asked["part"] == "versions":
        context["offer"] = dialog.offer(way, choice.dest, asked["find"], asked["after"])
        return render(request, "change/version_picks.html", context)
    if asked["part"] == "hosts":
        # Those that are ticked stand in the first part of the list.
        context["hosts"], context["more_hosts"] = dialog.hosts(service, way.version, choice.hosts, asked["after"])
        return render(request, "change/host_picks.html", context)
    return None


def _plan(caller: Caller, service: MicroService, version: MicroServiceVersion, action: str, choice: Choice) -> dict:
    """The server's plan, and what lies between its versions."""
    plan = actions.preview(
        caller,
        service,
        version,
        action,
        choice.targets(),
        choice.dest_id(),
        strategy=choice.course(),
        allow_bad=choice.allow_bad,
    )
    plan["groups"], plan["lasting"] = grouped(plan["targets"]), lasting(plan["targets"])
    old, new = plan["from_version"], plan["dest_version"]
    plan["commits"] = version_diff.commits(old["version"], new["version"])
    plan["compare"] = version_diff.compare_link(service.build_url, service.build_orig, old["version"], new["version"])
    plan["between"], plan["notes"] = dialog.between(service, old["id"], new["id"])
    return plan
