"""How a request chooses hosts: by name or id, by their labels, or by a group."""

from typing import Any

from django.db.models import Q, QuerySet
from ninja import Field
from pydantic import StrictInt, StrictStr

from access.problems import FieldError, invalid, invalid_fields
from asset import labels as host_labels
from asset.models import Asset
from microservice.deployments.selection import ALL, find_hosts, find_labelled, parse_hosts
from runtime.sql import among

from .base import Body

Ids = StrictStr | StrictInt | list[StrictInt | StrictStr]


class ByLabels(Body):
    """Hosts that are chosen by what they have, instead of by name."""

    labels: dict[str, Any] | None = Field(
        None, description="Instead of host: the hosts that have all of these labels, {name: value or null for any}"
    )
    group: StrictStr | None = Field(None, description="Instead of labels: the name of a host group")

    def selector(self) -> host_labels.Selector | None:
        """Return what labels or group mean; None without them. Raise Problem 422 for both."""
        self.refuse_several("labels", "group")
        if self.group is not None:
            return host_labels.group(self.group).labels
        return None if self.labels is None else host_labels.check(self.labels)

    def refuse_several(self, *names: str) -> None:
        """Raise Problem 422 where the request gives more than one of these fields."""
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise invalid_fields([FieldError(f"/{name}", "exclusive_fields") for name in given])


class HostChoice(ByLabels):
    """Which hosts a request is about: one of host, labels and group."""

    host: Ids | None = Field(None, description="“all”, or hosts by id or name: “1,2,3”, [“web1”, “web2”]")

    def chosen(self, scope: Q) -> QuerySet[Asset]:
        """Return the hosts that are meant, of those within `scope`. Raise Problem 422 where one is not found."""
        self.refuse_several("host", "labels", "group")
        selector, rows = self.selector(), Asset.objects.filter(scope)
        if selector is not None:
            return Asset.objects.filter(pk__in=among(find_labelled(selector, rows, "wrong_target.no_labelled_host")))
        if self.host is None:
            raise invalid("/host", "host_or_labels_required")
        hosts = parse_hosts(self.host)
        if hosts == ALL:
            return rows
        return Asset.objects.filter(pk__in=among([row.host_id for row in find_hosts(hosts, scope)]))
