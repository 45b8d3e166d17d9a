"""Users, teams and their services."""

from django.contrib.auth.models import User
from django.db.models import Count, Q

from access import accounts
from access import sessions as open_sessions
from access.callers import Caller
from access.models import Team
from access.teams import visible_teams
from audit.models import History

from .callbacks import FEW
from .paging import MAX_ROWS, PAGE, Page, by_key, newest_first

MAX_SESSIONS = 1000
SIGN_IN_ACTIONS = ("sign_in", "sign_out", "sign_in_failed", "end_sessions")


def persons(q: str = "", after: str = "", size: int = PAGE) -> Page:
    """Return users by name, each with its teams and its number of `tokens`. Three queries."""
    rows = accounts.users().annotate(tokens=Count("api_tokens", filter=Q(api_tokens__revoked=None), distinct=True))
    if q:
        rows = rows.filter(Q(username__icontains=q) | Q(email__icontains=q) | Q(last_name__icontains=q))
    return by_key(rows, "username", after, size)


def sign_ins(user_id: int, after: str = "", size: int = FEW) -> Page:
    """Return the user's sign-ins, sign-outs and failed attempts from the history, newest first."""
    rows = History.objects.filter(subject="user", subject_id=user_id, action__in=SIGN_IN_ACTIONS)
    return newest_first(rows, after, size)


def sessions(user_id: int) -> Page:
    """Return the user's open sessions, the last used first: at most MAX_SESSIONS of them."""
    return Page(list(open_sessions.sessions_of(user_id)[:MAX_SESSIONS]))


def person(number: int) -> User:
    return accounts.find_user(number)


def teams(caller: Caller) -> list[Team]:
    """Return the teams that the caller may see by name, each with its number of `members` and `owned` services.

    One query.
    """
    rows = visible_teams(caller).prefetch_related(None)
    rows = rows.annotate(members=Count("memberships", distinct=True), owned=Count("services", distinct=True))
    return list(rows.order_by("name"))  # a query that counts forgets the order of the model


def owned(team: Team, after: str = "", size: int = MAX_ROWS) -> Page:
    """Return the team's services by name."""
    return by_key(team.services.only("name", "description", "team"), "name", after, size)


def members(team: Team) -> Page:
    return Page(sorted(team.memberships.all(), key=lambda row: row.user.get_username()))
