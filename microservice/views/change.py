"""The dialog for upgrade and revert: what to go to, where, how; the plan that the server computed; one button."""

import uuid
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, conflict, invalid
from microservice import deployments
from microservice.models import MicroService, MicroServiceVersion
from microservice.once import once
from microservice.queries import services

from .guard import go, page

MOST_HOSTS = 300  # hosts to tick one by one; beyond that there is “all”
MOST_CHOICES = 60
STRATEGY = ("batch_size", "canary", "max_failures", "on_failure", "pause_between")


@dataclass(slots=True)
class Choice:
    """What was chosen so far, as text, so that nothing typed is lost however wrong it is."""

    dest: str = ""
    everywhere: bool = True
    hosts: list[str] = field(default_factory=list)
    strategy: dict[str, str] = field(default_factory=dict)
    even_bad: bool = False

    @classmethod
    def of(cls, data: QueryDict) -> "Choice":
        return cls(
            dest=data.get("dest", ""),
            everywhere=data.get("where", "all") != "some",
            hosts=data.getlist("host"),
            strategy={name: data.get(name, "").strip() for name in STRATEGY},
            even_bad=data.get("even_bad") == "on",
        )

    def dest_id(self) -> int:
        if not (self.dest.isascii() and self.dest.isdigit() and len(self.dest) < 19):
            raise invalid("/dest_version", "choose a version to go to")
        return int(self.dest)

    def targets(self) -> str | list[int]:
        if self.everywhere:
            return "all"
        if not self.hosts:
            raise invalid("/host", "tick at least one host, or choose all of them")
        return deployments.parse_ids(",".join(self.hosts), "/host")

    def course(self) -> dict:
        """The strategy as the API takes it; what was left empty is left out."""
        given: dict = {name: text for name, text in self.strategy.items() if text}
        for name in ("batch_size", "canary", "max_failures"):
            if given.get(name, "").isdigit():
                given[name] = int(given[name])
        if "pause_between" in given:
            given["pause_between"] = given["pause_between"] == "on"
        return given

    def __str__(self):
        return repr((self.dest, self.everywhere, sorted(self.hosts), sorted(self.strategy.items()), self.even_bad))


@page("deploy", ("GET", "POST"))
def change(request: HttpRequest, caller: Caller, name: str, number: int, action: str) -> HttpResponse:
    """`action` is upgrade or revert, `number` the version that runs now."""
    service = services.service(caller, name)
    version = services.version(service, number)
    problem = None
    choice = Choice.of(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST":
        try:
            return go("deployment", _start(request, caller, service, version, action, choice))
        except Problem as refusal:
            problem = refusal
    context = _dialog(caller, service, version, action, choice)
    context["problem"] = problem
    return render(request, "change/page.html", context, status=problem.status if problem else 200)


def _start(
    request: HttpRequest,
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    choice: Choice,
) -> int:
    plan = request.POST.get("plan", "")
    return once(
        caller,
        request.POST.get("key", ""),
        f"{service.pk} {version.pk} {action} {choice} {plan}",
        lambda: deployments.request(
            caller, service, version, action, choice.targets(), choice.dest_id(), strategy=choice.course(), plan=plan,
            even_bad=choice.even_bad,
        ),
    )


def _dialog(caller: Caller, service: MicroService, version: MicroServiceVersion, action: str, choice: Choice) -> dict:
    """Everything that the dialog shows. With nothing chosen yet: the nearest sensible version, and every host."""
    versions = deployments.choices(version, action, choice.even_bad)
    allowed = [one for one in versions if one["enable"]]
    hosts = services.hosts_running(service, version, MOST_HOSTS)
    good = [one for one in allowed if not one["bad"]]
    if not choice.dest and good:
        came_from = services.came_from(service, version) if action == "revert" else None
        best = next((one for one in good if one["id"] == came_from), good[0])
        choice.dest = str(best["id"])
    context = {
        "service": service,
        "version": version,
        "action": action,
        "choice": choice,
        "key": str(uuid.uuid4()),
        "allowed": allowed[:MOST_CHOICES],
        "greyed": [one for one in versions if not one["enable"]][:MOST_CHOICES],
        "any_bad": any(one["bad"] for one in versions),
        "hosts": hosts,
        "more_hosts": len(hosts) == MOST_HOSTS,
    }
    try:
        if not allowed:
            where = "newer" if action == "upgrade" else "older"
            raise conflict(
                "no_target",
                f"There is no version to {action} to: nothing {where} than {version.version} is built and good.",
                "Publish a version first." if action == "upgrade" else "",
            )
        context["plan"] = _plan(caller, service, version, action, choice)
    except Problem as refusal:
        context["no_plan"] = refusal
    return context


def _plan(caller: Caller, service: MicroService, version: MicroServiceVersion, action: str, choice: Choice) -> dict:
    """The server's plan, with hosts that have the very same steps told together."""
    plan = deployments.preview(
        caller, service, version, action, choice.targets(), choice.dest_id(), strategy=choice.course(),
        even_bad=choice.even_bad,
    )
    groups: dict[str, dict] = {}
    for target in plan["targets"]:
        group = groups.setdefault(repr(target["steps"]), {"steps": target["steps"], "hosts": []})
        group["hosts"].append(target["host"])
    plan["groups"] = list(groups.values())
    plan["lasting"] = sorted({name for target in plan["targets"] for name in target["cannot_be_undone"]})
    return plan
