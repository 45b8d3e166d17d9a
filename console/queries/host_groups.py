"""Host groups with the number of their hosts, and labels to choose from."""

from access.callers import Caller
from asset import labels, tenancy
from asset.models import Asset, HostGroup

from .paging import PAGE, Page, by_key

MAX_HOSTS = 5000  # whose labels are suggested
SUGGESTED = 50


def groups(caller: Caller, after: str = "", size: int = PAGE) -> Page:
    """Return groups by name, each with `hosts`: how many the caller sees of those it means now. Two queries."""
    page = by_key(HostGroup.objects.all(), "name", after, size)
    hosts = Asset.objects.filter(tenancy.visible(caller)).values_list("labels", flat=True) if page.rows else []
    for group, count in zip(page, labels.counts((group.labels for group in page), hosts), strict=True):
        group.hosts = count
    return page


def groups_of(host: Asset) -> list[HostGroup]:
    """Return the groups that a host is in. One query."""
    return [group for group in HostGroup.objects.order_by("name") if labels.fits(host.labels, group.labels)]


def group_names() -> list[str]:
    """Return the names of all groups, to choose from. One query."""
    return list(HostGroup.objects.order_by("name").values_list("name", flat=True))


def completions(caller: Caller, typed: str) -> list[str]:
    """Return texts that complete the last word of what is typed, with what stands before it. One query."""
    before, blank, word = typed.rpartition(" ")
    hosts = Asset.objects.filter(tenancy.visible(caller)).order_by("pk")[:MAX_HOSTS]
    found = [text for text in labels.known(hosts) if word.casefold() in text.casefold()]
    return [f"{before}{blank}{text}" for text in found[:SUGGESTED]]
