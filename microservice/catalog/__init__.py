"""Services and versions: find, create, change and delete them. Every rule that is broken raises a Problem."""

from .removal import delete_version, refuse_deleted
from .services import (
    SERVICE_FIELDS,
    change_service,
    create_service,
    delete_service,
    find_service,
    sees,
    services_of,
)
from .versions import VERSION_CHANGES, VERSION_FIELDS, check_version, create_version, find_version, mark_bad

__all__ = [
    "SERVICE_FIELDS",
    "VERSION_CHANGES",
    "VERSION_FIELDS",
    "change_service",
    "check_version",
    "create_service",
    "create_version",
    "delete_service",
    "delete_version",
    "find_service",
    "find_version",
    "mark_bad",
    "refuse_deleted",
    "sees",
    "services_of",
]
