"""Teams: who is in them as what, and which services they own."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access import teams as rules
from access.callers import Caller
from access.models import Team
from access.problems import Problem, invalid
from audit.history import record
from microservice import catalog
from microservice.models import MicroService

from ..forms.people import MemberForm, TeamForm
from ..forms.services import add_problem
from ..queries import people as found
from ..queries import services
from .decorators import errors_on, flash, flash_problem, page, post_data, redirect_to


@page("admin", ("GET", "POST"), look="")
def teams(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The caller's teams, all for administrators, and a form for another."""
    form = TeamForm(post_data(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            team = rules.create_team(caller, form.cleaned_data)
            record(caller, "create", "team", team, after=form.cleaned_data)
            flash(request, _("{name} was added. Say who is in it.").format(name=team.name))
            return redirect_to("team", team.pk)
    context = {"teams": found.teams(caller), "form": form, "tab": "teams", "may_admin": caller.may("admin")}
    return render(request, "people/teams.html", context, status=422 if form.errors else 200)


@page()
def team(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    return _page(request, caller, rules.find_team(caller, number))


@page("admin", ("POST",), owners=True)
def team_change(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """One of the page's forms: name, member, remove, give, take, delete. What the caller may, the rules say."""
    team = rules.find_team(caller, number)
    deeds: dict[str, Callable[..., str]] = {
        "name": _rename,
        "member": _member,
        "remove": _remove,
        "give": _give,
        "take": _take,
        "delete": _delete,
    }
    if what not in deeds:
        raise invalid("/what", "is none of the page's forms")
    name_form = TeamForm(request.POST, initial=_named(team)) if what == "name" else None
    member_form = MemberForm(request.POST) if what == "member" else None
    form = name_form or member_form
    try:
        if form is None or form.is_valid():
            flash(request, deeds[what](request, caller, team, form))
            return redirect_to("teams") if what == "delete" else redirect_to("team", number)
    except Problem as problem:
        if form is None:
            flash_problem(request, problem)
            return redirect_to("team", number)
        add_problem(form, problem)
    return _page(request, caller, rules.find_team(caller, number), name_form, member_form, status=422)


def _named(team: Team) -> dict[str, str]:
    return {"name": team.name, "description": team.description}


def _rename(request: HttpRequest, caller: Caller, team: Team, form: TeamForm) -> str:
    if fields := form.changed():
        before = {name: getattr(team, name) for name in fields}
        team = rules.change_team(caller, team, fields)
        record(caller, "change", "team", team, before=before, after=fields)
    return _("{name} was saved.").format(name=team.name)


def _member(request: HttpRequest, caller: Caller, team: Team, form: MemberForm) -> str:
    made = rules.set_member(caller, team, form.cleaned_data["user"], form.cleaned_data["role"])
    record(caller, "change", "team", team, after={"member": made.user.get_username(), "role": made.role})
    return _("{name} is {role} of {team} from now on.").format(
        name=made.user.get_username(), role=made.role, team=team.name
    )


def _remove(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    one = next((row for row in team.memberships.all() if str(row.user_id) == request.POST.get("user", "")), None)
    if one is None:
        raise invalid("/user", "is no member")
    rules.remove_member(caller, team, one.user_id)
    record(caller, "change", "team", team, before={"member": one.user.get_username()}, after={"member": None})
    return _("{name} is no longer in {team}.").format(name=one.user.get_username(), team=team.name)


def _give(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    service = _service(request, caller)
    catalog.change_service(caller, service, {"team": team})
    return _("{service} belongs to {team} from now on.").format(service=service.name, team=team.name)


def _take(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    service = _service(request, caller)
    if service.team_id != team.pk:
        raise invalid("/service", "is no service of this team")
    catalog.change_service(caller, service, {"team": None})
    return _("{service} belongs to no team from now on.").format(service=service.name)


def _delete(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    rules.delete_team(caller, team)
    record(caller, "delete", "team", None, subject_name=team.name)
    return _("{name} was deleted.").format(name=team.name)


def _service(request: HttpRequest, caller: Caller) -> MicroService:
    """The service that is named, which the caller must administer to give it away."""
    named = services.service(caller, request.POST.get("service", "").replace("\0", "")[:64])
    return catalog.find_service(caller, named.pk, "admin")


def _page(
    request: HttpRequest,
    caller: Caller,
    team: Team,
    name_form: TeamForm | None = None,
    member_form: MemberForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "team": team,
        "members": sorted(team.memberships.all(), key=lambda one: one.user.get_username()),
        "services": found.owned(team),
        "nobodys": found.nobodys() if caller.may("admin") else [],
        "name_form": name_form or TeamForm(initial=_named(team)),
        "member_form": member_form or MemberForm(),
        "may_admin": caller.may("admin"),
        "owns": caller.owns(team.pk),
        "tab": "teams",
    }
    return render(request, "people/team.html", context, status=status)
