"""Hosts, credentials and tokens."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet

from access.callers import Caller
from access.models import Team, Token
from access.problems import not_found
from asset import labels, tenancy
from asset.environments import meant
from asset.models import Asset, Credential
from microservice.catalog.visibility import visible
from microservice.models import MicroService, MicroServiceInstance
from microservice.status import MAY_RETRY

from .paging import PAGE, Page, by_key, newest_first

ARCHIVED = "archived"
STATES = ("unreachable", "untrusted", "changed", ARCHIVED)  # to filter by
MAX_TEAMS = 500
Selectors = Iterable[labels.Selector] | None  # of labels; None: one that no host has


def hosts(
    caller: Caller, filters: dict[str, str], selectors: Selectors = (), after: str = "", size: int = PAGE
) -> Page:
    """Return the hosts that the caller may see, by name. Three queries, and one for each selector of labels.

    Each has the number of its instances, `running`, and of failed ones, `wrong`, among the services that the caller may
    see. `filters`: q, state, team and environment (names). Archived hosts are listed only with the state `archived`,
    newest first.
    """
    rows = matching(caller, filters, selectors).select_related("credential", "environment").prefetch_related("teams")
    is_archive = filters.get("state") == ARCHIVED
    return _counted(caller, newest_first(rows, after, size) if is_archive else by_key(rows, "hostname", after, size))


def _counted(caller: Caller, page: Page) -> Page:
    """Add to each host of the page how many instances it has."""
    counts: dict[int, dict[str, Any]] = {
        row["host_id"]: dict(row)
        for row in MicroServiceInstance.objects.filter(
            visible(caller, "microservice"), host__in=[row.pk for row in page]
        )
        .values("host_id")
        .annotate(n=Count("pk"), wrong=Count("pk", filter=Q(status__in=MAY_RETRY)))
        .order_by()
    }
    for row in page:
        row.running = counts.get(row.pk, {}).get("n", 0)
        row.wrong = counts.get(row.pk, {}).get("wrong", 0)
    return page


def matching(caller: Caller, filters: dict[str, str], selectors: Selectors) -> QuerySet[Asset]:
    """Return the hosts that the caller may see and the filters mean."""
    q, state = filters.get("q"), filters.get("state")
    rows = Asset.every.exclude(archived=None) if state == ARCHIVED else Asset.objects.all()
    rows = rows.filter(tenancy.visible(caller))
    if team := filters.get("team"):
        rows = rows.filter(teams__name=team)
    rows = rows.filter(meant(filters.get("environment", "")))
    if q:
        rows = rows.filter(Q(hostname__icontains=q) | Q(ip__startswith=q))
    if state == "unreachable":
        rows = rows.filter(reachable=False)
    elif state == "untrusted":
        rows = rows.filter(host_key="")
    elif state == "changed":
        rows = rows.exclude(host_key="").exclude(
            offered_key=""
        )  # a host that was never trusted has an offered key, too
    return labels.narrow(rows, selectors)


def host(caller: Caller, number: int) -> Asset:
    """Return a host, even an archived one, with `through`: its jump host if the caller may see it."""
    rows = Asset.every.filter(tenancy.visible(caller), pk=number)
    row = rows.select_related("credential", "jump_host", "environment").prefetch_related("teams").first()
    if row is None:
        raise not_found("host")
    hides_jump_host = tenancy.hidden(caller, [row.jump_host_id])
    row.through = None if hides_jump_host else row.jump_host  # type: ignore[attr-defined]
    return row


def teams(caller: Caller) -> list[str]:
    """Return the names of the caller's teams that have hosts, to filter by."""
    rows = Team.objects.filter(hosts__in=Asset.objects.all())
    if caller.teams is not None:
        rows = rows.filter(pk__in=sorted(caller.teams))
    return list(rows.distinct().values_list("name", flat=True)[:MAX_TEAMS])


def instances_on(host: Asset, caller: Caller, after: str = "", size: int = PAGE) -> Page:
    """Return the instances on a host, by service. One query."""
    rows = host.instances.filter(visible(caller, "microservice"))
    page = by_key(rows.select_related("microservice", "version", "lock_deployment"), "microservice__name", after, size)
    for row in page:
        row.host = host
    return page


def credentials() -> list[Credential]:
    """Return all credentials without their secrets, with `used`: the number of hosts that use each."""
    used = Count("hosts", filter=Q(hosts__archived=None))
    return list(Credential.objects.defer("secret", "passphrase").annotate(used=used).order_by("name"))


def credential(number: int) -> Credential:
    # Without its secrets: they may be unreadable, which is a reason to open this page and set them again.
    row = Credential.objects.defer("secret", "passphrase").filter(pk=number).first()
    if row is None:
        raise not_found("credential")
    return row


def uses_of(caller: Caller, credential: Credential, after: str = "", size: int = PAGE) -> Page:
    """Return the hosts that use a credential, as `hosts` does. Three queries."""
    rows = credential.hosts.filter(tenancy.visible(caller)).select_related("credential").prefetch_related("teams")
    return _counted(caller, by_key(rows, "hostname", after, size))


def tokens(caller: Caller, after: str = "", size: int = PAGE) -> Page:
    """Return the caller's tokens, or everyone's for an administrator, each with `service_names`. Two queries."""
    rows = Token.objects.select_related("user", "parent").filter(revoked=None)
    if not caller.may("admin"):
        rows = rows.filter(user=caller.user_id)
    tokens = newest_first(rows, after, size)
    service_ids = {number for token in tokens for number in token.services}
    names = dict(MicroService.objects.filter(pk__in=service_ids).values_list("pk", "name"))
    for token in tokens:
        service_names = [names.get(number, str(number)) for number in token.services]
        token.service_names = service_names
    return tokens
