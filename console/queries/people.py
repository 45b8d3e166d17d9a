"""Users, teams and their services."""

from django.contrib.auth.models import User
from django.db.models import Count, Q

from access import accounts
from access.callers import Caller
from access.models import Team
from access.teams import visible_teams
from audit.models import History
from microservice.models import MicroService

from .paging import PAGE, Page, by_key

SIGN_IN_ACTIONS = ("sign_in", "sign_out", "sign_in_failed", "end_sessions")


def persons(q: str = "", after: str = "", size: int = PAGE) -> Page:
    """Return users by name, each with its teams and its number of `tokens`. Three queries."""
    rows = accounts.users().annotate(tokens=Count("api_tokens", filter=Q(api_tokens__revoked=None), distinct=True))
    if q:
        rows = rows.filter(Q(username__icontains=q) | Q(email__icontains=q) | Q(last_name__icontains=q))
    return by_key(rows, "username", after, size)


def sign_ins(user_id: int) -> list[History]:
    """Return the user's last sign-ins, sign-outs and failed attempts from the history."""
    rows = History.objects.filter(subject="user", subject_id=user_id, action__in=SIGN_IN_ACTIONS)
    return list(rows.order_by("-id")[:20])


def person(number: int) -> User:
    return accounts.find_user(number)


def teams(caller: Caller) -> list[Team]:
    """Return the teams that the caller may see, each with its number of `members` and `owned` services. One query."""
    rows = visible_teams(caller).prefetch_related(None)
    return list(rows.annotate(members=Count("memberships", distinct=True), owned=Count("services", distinct=True)))


def owned(team: Team) -> list[MicroService]:
    return list(team.services.only("name", "description").order_by("name"))
