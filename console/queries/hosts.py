"""Hosts, credentials and tokens, as lists."""

from django.db.models import Count, Q

from access.callers import Caller
from access.models import Team, Token
from access.problems import not_found
from asset import tenancy
from asset.models import Asset, Credential
from microservice.catalog.visibility import visible
from microservice.models import MicroService, MicroServiceInstance
from microservice.status import MAY_RETRY

from .paging import PAGE, Page, by_key, newest_first

MOST_TEAMS = 500
MOST_USES = 500  # hosts that a credential's page names


def hosts(caller: Caller, q: str = "", state: str = "", team: str = "", after: str = "", size: int = PAGE) -> Page:
    """Those that the caller sees, by name, each with `running` (instances) and `wrong` (those that failed), counted
    among the services that the caller sees; `team` is a name. Archived ones only with the state `archived`, the last
    that came first. Three queries."""
    rows = Asset.every.exclude(archived=None) if state == "archived" else Asset.objects.all()
    rows = rows.filter(tenancy.visible(caller)).select_related("credential").prefetch_related("teams")
    if team:
        rows = rows.filter(teams__name=team)
    if q:
        rows = rows.filter(Q(hostname__icontains=q) | Q(ip__startswith=q))
    if state == "unreachable":
        rows = rows.filter(reachable=False)
    elif state == "untrusted":
        rows = rows.filter(host_key="")
    elif state == "changed":
        rows = rows.exclude(host_key="").exclude(offered_key="")  # a host never trusted offers one, too
    page = newest_first(rows, after, size) if state == "archived" else by_key(rows, "hostname", after, size)
    counted: dict[int, dict] = {
        row["host_id"]: dict(row)
        for row in MicroServiceInstance.objects.filter(
            visible(caller, "microservice"), host__in=[row.pk for row in page]
        )
        .values("host_id")
        .annotate(n=Count("pk"), wrong=Count("pk", filter=Q(status__in=MAY_RETRY)))
        .order_by()
    }
    for row in page:
        row.running = counted.get(row.pk, {}).get("n", 0)
        row.wrong = counted.get(row.pk, {}).get("wrong", 0)
    return page


def host(caller: Caller, number: int) -> Asset:
    """With `through`, its jump host, where the caller sees that one too. Also one that is archived."""
    rows = Asset.every.filter(tenancy.visible(caller), pk=number)
    found = rows.select_related("credential", "jump_host").prefetch_related("teams").first()
    if found is None:
        raise not_found("host")
    found.through = (  # type: ignore[attr-defined]
        None if tenancy.hidden(caller, [found.jump_host_id]) else found.jump_host
    )
    return found


def teams(caller: Caller) -> list[str]:
    """The names of the teams that have hosts which the caller sees, to choose from."""
    rows = Team.objects.filter(hosts__in=Asset.objects.all())
    if caller.teams is not None:
        rows = rows.filter(pk__in=sorted(caller.teams))
    return list(rows.distinct().values_list("name", flat=True)[:MOST_TEAMS])


def runs_on(of: Asset, caller: Caller) -> list[MicroServiceInstance]:
    return list(
        of.instances.filter(visible(caller, "microservice"))
        .select_related("microservice", "version", "lock_deployment")
        .order_by("microservice__name")
    )


def credentials() -> list[Credential]:
    """Every credential without its secret, with `used`, the number of hosts that prove themselves with it."""
    used = Count("hosts", filter=Q(hosts__archived=None))
    return list(Credential.objects.defer("secret", "passphrase").annotate(used=used).order_by("name"))


def credential(number: int) -> Credential:
    # Without its secrets, which may be what cannot be read, and why somebody comes here to set them anew.
    row = Credential.objects.defer("secret", "passphrase").filter(pk=number).first()
    if row is None:
        raise not_found("credential")
    return row


def uses_of(caller: Caller, of: Credential) -> list[Asset]:
    """The first hosts, by name, that are logged in to with it."""
    return list(of.hosts.filter(tenancy.visible(caller)).order_by("hostname")[:MOST_USES])


def tokens(caller: Caller) -> list[Token]:
    """The caller's own tokens; everybody's for an administrator. Each with `service_names`. Two queries."""
    rows = Token.objects.select_related("user", "parent").filter(revoked=None)
    if not caller.may("admin"):
        rows = rows.filter(user=caller.user_id)
    found = list(rows[:200])
    wanted = {number for row in found for number in row.services}
    names = dict(MicroService.objects.filter(pk__in=wanted).values_list("pk", "name"))
    for row in found:
        told = [names.get(number, str(number)) for number in row.services]
        row.service_names = told  # type: ignore[attr-defined]
    return found
