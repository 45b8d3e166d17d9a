"""Teams: their members with roles, and their services."""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from access import teams
from access.callers import Caller
from access.models import Team
from access.problems import Problem, invalid
from audit.history import record
from microservice import catalog
from microservice.models import MicroService

from .. import csv_lists, tables
from ..forms.people import MemberForm, TeamForm, TeamServiceForm
from ..forms.services import add_problem
from ..queries import people, services
from ..queries.paging import Page
from .decorators import errors_on, flash, page, post_data, redirect_to, texts
from .making import added, form_alone, in_dialog, proposed


@page("admin", ("GET", "POST"), look="")
def team_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the caller's teams (all, for administrators). POST: add one."""
    form = TeamForm(post_data(request), initial=proposed(request))
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            team = teams.create_team(caller, form.cleaned_data)
            record(caller, "create", "team", team, after=form.cleaned_data)
            says = _("{name} was added. Now add its members.").format(name=team.name)
            return added(request, team, team.name, says, "team", team.pk)
    if in_dialog(request):
        return form_alone(request, form, _("Add a team"), _("Add team"))
    rows = people.teams(caller)
    if file := csv_lists.file(request, tables.TEAMS, lambda **_: Page(rows), caller):
        return file
    context = {"teams": rows, "form": form, "tab": "teams", "may_admin": caller.may("admin")}
    return render(request, "people/teams.html", context, status=422 if form.errors else 200)


@page()
def team_detail(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    team = teams.find_team(caller, number)
    if file := csv_lists.file(request, tables.MEMBERS, lambda **_: people.members(team), caller, team.name):
        return file
    services_of = partial(people.owned, team)
    if file := csv_lists.file(request, tables.TEAM_SERVICES, services_of, caller, team.name):
        return file
    return _page(request, caller, team)


@page("admin", ("POST",), owners=True, back=("team", "number"))
def team_change(request: HttpRequest, caller: Caller, number: int, what: str) -> HttpResponse:
    """Handle one of the page's forms. The functions that it calls check what the caller may do."""
    team = teams.find_team(caller, number)
    commands: dict[str, Callable[..., str]] = {
        "name": _rename,
        "member": _member,
        "remove": _remove,
        "give": _give,
        "take": _take,
        "delete": _delete,
    }
    if what not in commands:
        raise invalid("/what", "not_one_of", choices=list(commands))
    name_form = TeamForm(request.POST, initial=_initial(team)) if what == "name" else None
    member_form = MemberForm(request.POST, caller=caller) if what == "member" else None
    service_form = TeamServiceForm(request.POST, caller=caller) if what == "give" else None
    form = name_form or member_form or service_form
    try:
        if form is None or form.is_valid():
            flash(request, commands[what](request, caller, team, form))
            return redirect_to("teams") if what == "delete" else redirect_to("team", number)
    except Problem as problem:
        if form is None:
            raise
        add_problem(form, problem)
    return _page(request, caller, teams.find_team(caller, number), name_form, member_form, service_form, status=422)


def _initial(team: Team) -> dict[str, str]:
    return {"name": team.name, "description": team.description}


def _rename(request: HttpRequest, caller: Caller, team: Team, form: TeamForm) -> str:
    if fields := form.changed():
        before = {name: getattr(team, name) for name in fields}
        team = teams.change_team(caller, team, fields)
        record(caller, "change", "team", team, before=before, after=fields)
    return _("{name} was saved.").format(name=team.name)


def _member(request: HttpRequest, caller: Caller, team: Team, form: MemberForm) -> str:
    membership = teams.set_member(caller, team, form.cleaned_data["user"], form.cleaned_data["role"])
    record(caller, "change", "team", team, after={"member": membership.user.get_username(), "role": membership.role})
    return _("{name} is now {role} of {team}.").format(
        name=membership.user.get_username(), role=membership.role, team=team.name
    )


def _remove(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    user = request.POST.get("user", "")
    membership = next((row for row in team.memberships.all() if str(row.user_id) == user), None)
    if membership is None:
        raise invalid("/user", "not_member")
    teams.remove_member(caller, team, membership.user_id)
    record(caller, "change", "team", team, before={"member": membership.user.get_username()}, after={"member": None})
    return _("{name} is no longer in {team}.").format(name=membership.user.get_username(), team=team.name)


def _give(request: HttpRequest, caller: Caller, team: Team, form: TeamServiceForm) -> str:
    service = catalog.find_service(caller, form.cleaned_data["service"].pk, "admin")
    catalog.change_service(caller, service, {"team": team})
    return _("{service} now belongs to {team}.").format(service=service.name, team=team.name)


def _take(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    service = _service(request, caller)
    if service.team_id != team.pk:
        raise invalid("/service", "not_team_service")
    catalog.change_service(caller, service, {"team": None})
    return _("{service} no longer belongs to a team.").format(service=service.name)


def _delete(request: HttpRequest, caller: Caller, team: Team, form: None) -> str:
    teams.delete_team(caller, team)
    record(caller, "delete", "team", None, subject_name=team.name)
    return _("{name} was deleted.").format(name=team.name)


def _service(request: HttpRequest, caller: Caller) -> MicroService:
    """Return the posted service. Raise Problem unless the caller may administer it."""
    service = services.service(caller, texts(request.POST, "service")["service"])
    return catalog.find_service(caller, service.pk, "admin")


def _page(
    request: HttpRequest,
    caller: Caller,
    team: Team,
    name_form: TeamForm | None = None,
    member_form: MemberForm | None = None,
    service_form: TeamServiceForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "team": team,
        "members": people.members(team),
        "services": people.owned(team),
        "service_form": service_form or TeamServiceForm(caller=caller),
        "name_form": name_form or TeamForm(initial=_initial(team)),
        "member_form": member_form or MemberForm(caller=caller),
        "may_admin": caller.may("admin"),
        "owns": caller.owns(team.pk),
        "tab": "teams",
    }
    return render(request, "people/team.html", context, status=status)
