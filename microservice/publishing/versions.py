"""Changes a version on request, and triggers what follows where that ends its build."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from access.callers import Caller

from ..catalog import versions
from ..models import MicroServiceVersion
from ..status import BUILD_TRANSITIONS
from . import auto_deploy


def change(caller: Caller, version: MicroServiceVersion, fields: Mapping[str, Any]) -> MicroServiceVersion:
    """Change some of catalog.VERSION_CHANGES. Refuses as `catalog.versions` does."""
    checked = versions.checked(version, fields)
    if checked is None:
        return version
    with transaction.atomic():
        versions.write(caller, version, checked)
        if "status" in checked.after and version.status not in BUILD_TRANSITIONS:
            auto_deploy.build_ended(version)
    return version
