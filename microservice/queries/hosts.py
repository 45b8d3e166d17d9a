"""Hosts, credentials and tokens, as lists."""

from django.db.models import Count, Q

from access.callers import Caller
from access.models import Token
from access.problems import not_found
from asset.models import Asset, Credential
from microservice.catalog.visibility import visible
from microservice.models import MicroService, MicroServiceInstance
from microservice.status import MAY_RETRY

from .paging import PAGE, Page, by_key


def hosts(q: str = "", state: str = "", after: str = "", size: int = PAGE) -> Page:
    """By name, each with `running` (instances) and `wrong` (those that failed). Two queries."""
    rows = Asset.objects.select_related("credential")
    if q:
        rows = rows.filter(Q(hostname__icontains=q) | Q(ip__startswith=q))
    if state == "unreachable":
        rows = rows.filter(reachable=False)
    elif state == "untrusted":
        rows = rows.filter(host_key="")
    elif state == "changed":
        rows = rows.exclude(offered_key="")
    page = by_key(rows, "hostname", after, size)
    counted: dict[int, dict] = {
        row["host_id"]: dict(row)
        for row in MicroServiceInstance.objects.filter(host__in=[row.pk for row in page])
        .values("host_id")
        .annotate(n=Count("pk"), wrong=Count("pk", filter=Q(status__in=MAY_RETRY)))
        .order_by()
    }
    for row in page:
        row.running = counted.get(row.pk, {}).get("n", 0)
        row.wrong = counted.get(row.pk, {}).get("wrong", 0)
    return page


def host(number: int) -> Asset:
    found = Asset.objects.filter(pk=number).select_related("credential", "jump_host").first()
    if found is None:
        raise not_found("host")
    return found


def runs_on(of: Asset, caller: Caller) -> list[MicroServiceInstance]:
    return list(
        of.instances.filter(visible(caller, "microservice"))
        .select_related("microservice", "version", "lock_deployment")
        .order_by("microservice__name")
    )


def credentials() -> list[Credential]:
    """Every credential without its secret, with `used`, the number of hosts that prove themselves with it."""
    return list(Credential.objects.defer("secret", "passphrase").annotate(used=Count("hosts")).order_by("name"))


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
