"""People, teams, and what a team owns."""

from django.contrib.auth.models import User
from django.db.models import Count, Q

from access import accounts
from access import teams as team_rules
from access.callers import Caller
from access.models import Team
from audit.models import History
from microservice.models import MicroService

from .paging import Page, by_key

COMINGS = ("sign_in", "sign_out", "sign_in_failed", "end_sessions")


def persons(q: str = "", after: str = "") -> Page:
    """By name, each with its teams and how many `tokens` it has. Three queries."""
    rows = accounts.users().annotate(tokens=Count("api_tokens", filter=Q(api_tokens__revoked=None), distinct=True))
    if q:
        rows = rows.filter(Q(username__icontains=q) | Q(email__icontains=q) | Q(last_name__icontains=q))
    return by_key(rows, "username", after)


def sign_ins(user_id: int) -> list[History]:
    """The last times that somebody came in, went, or failed to, as the history tells it."""
    about = History.objects.filter(subject="user", subject_id=user_id, action__in=COMINGS)
    return list(about.order_by("-id")[:20])


def person(number: int) -> User:
    return accounts.find_user(number)


def teams(caller: Caller) -> list[Team]:
    """The teams that the caller may see, each with how many `members` and `owned` services it has. One query."""
    rows = team_rules.visible_teams(caller).prefetch_related(None)
    return list(rows.annotate(members=Count("memberships", distinct=True), owned=Count("services", distinct=True)))


def owned(team: Team) -> list[MicroService]:
    return list(team.services.only("name", "description").order_by("name"))


def nobodys() -> list[MicroService]:
    """Services that no team owns, at most 500."""
    return list(MicroService.objects.filter(team=None).only("name").order_by("name")[:500])
