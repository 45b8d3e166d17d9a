"""The list of all builds."""

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.callers import Caller
from builds import build_requests, listing
from microservice.models import MicroServiceVersion
from microservice.status import BUILD_AGAIN, BUILD_TRANSITIONS, BuildStatus

from .paging import PAGE, Page, newest_first

PERIODS = [("1h", _("last hour")), ("1d", _("last 24 hours")), ("7d", _("last 7 days")), ("30d", _("last 30 days"))]
MAX_ATTEMPTS = 20  # listed on the page of a version
_HOURS = {"1h": 1, "1d": 24, "7d": 24 * 7, "30d": 24 * 30}


def builds(caller: Caller, filters: dict[str, str], after: str = "", size: int = PAGE) -> Page:
    """Return builds, newest first. `filters`: those of `listing.builds`, and `since`: one of PERIODS. Three queries at
    most."""
    page = newest_first(listing.builds(caller, filters, _since(filters.get("since", ""))), after, size)
    for build in page:
        may = caller.may("publish", build.version.microservice_id)
        build.may_cancel = may and build.status in BUILD_TRANSITIONS
        # Of an earlier attempt the version's status differs, or has its own row in this list.
        build.may_again = may and build.status in BUILD_AGAIN and build.version.status == build.status
        build.is_duplicate = build.status == BuildStatus.DUPLICATE
    return page


def attempts(version: MicroServiceVersion, after: str = "", size: int = MAX_ATTEMPTS) -> Page:
    """Return the builds of one version, newest first. One query."""
    rows = build_requests.attempts(version).defer("log")
    page = newest_first(rows, after, size)
    for build in page:
        build.version, build.microservice = version, version.microservice
    return page


def _since(period: str) -> datetime | None:
    hours = _HOURS.get(period)
    return timezone.now() - timedelta(hours=hours) if hours else None
