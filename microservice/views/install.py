"""The dialog for putting a version on hosts that do not have the service yet."""

import uuid

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.callers import Caller
from access.problems import Problem, invalid
from asset.models import Asset
from microservice import atoms, deployments
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.once import once
from microservice.queries import services
from microservice.rollout import Strategy
from microservice.status import Action

from .change import MOST_HOSTS, Choice
from .guard import go, page


@page("deploy", ("GET", "POST"))
def install(request: HttpRequest, caller: Caller, name: str, number: int) -> HttpResponse:
    service = services.service(caller, name)
    version = services.version(service, number)
    data = request.POST if request.method == "POST" else request.GET
    choice = Choice.of(data)
    more = {word: data.get(word, default).strip() for word, default in (("port", "0"), ("tag", ""), ("weight", "100"))}
    problem = None
    if request.method == "POST":
        try:
            asked = f"{service.pk} {version.pk} install {choice} {sorted(more.items())} {data.get('adopt')}"
            return go(
                "deployment",
                once(
                    caller,
                    data.get("key", ""),
                    asked,
                    lambda: _start(caller, service, version, choice, more, data.get("adopt") == "on"),
                ),
            )
        except Problem as refusal:
            problem = refusal
    hosts = services.hosts_without(service, MOST_HOSTS)
    chosen = [host for host, taken in hosts if str(host.pk) in choice.hosts and not taken]
    context = {
        "service": service,
        "version": version,
        "choice": choice,
        "more": more,
        "adopt": data.get("adopt") == "on",
        "hosts": hosts,
        "chosen": chosen,
        "key": str(uuid.uuid4()),
        "problem": problem,
        **_plan(service, version, chosen, choice, data.get("adopt") == "on"),
    }
    return render(request, "change/install.html", context, status=problem.status if problem else 200)


def _start(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    choice: Choice,
    more: dict[str, str],
    adopt: bool,
):
    if not choice.hosts:
        raise invalid("/host", "tick at least one host")
    numbers = {}
    for name in ("port", "weight"):
        if not (more[name].isascii() and more[name].isdigit() and len(more[name]) < 8):
            raise invalid(f"/{name}", "must be a whole number")
        numbers[name] = int(more[name])
    hosts = deployments.parse_ids(",".join(choice.hosts), "/host")
    try:
        return deployments.install(
            caller, service, version, hosts, tag=more["tag"], adopt=adopt, strategy=choice.course(),
            even_bad=choice.even_bad, **numbers,
        )
    except ValidationError as error:  # what the instance's own fields refuse
        name, reasons = next(iter(error.message_dict.items()))
        raise invalid(f"/{name}", reasons[0]) from error


def _plan(
    service: MicroService, version: MicroServiceVersion, hosts: list[Asset], choice: Choice, adopt: bool
) -> dict:
    """Batches, and the steps of an install on a host from the same planner that a worker asks."""
    if not hosts:
        return {"steps": [], "batches": []}
    instance = MicroServiceInstance(microservice=service, host=hosts[0])
    try:
        steps = atoms.atom_of(atoms.spec_of(service), instance, Action.INSTALL, None, version, adopt).describe()
        batches = Strategy.parse(choice.course()).batches(len(hosts))
    except (Problem, ValueError) as refusal:
        return {"plan_problem": refusal if isinstance(refusal, Problem) else invalid("/service", str(refusal))}
    return {"steps": steps, "batches": batches, "lasting": [one["name"] for one in steps if not one["undoable"]]}
