"""The roles in a team and their rights. Each role includes those before it."""

from django.conf import settings
from django.db.models import TextChoices


class Role(TextChoices):
    VIEWER = "viewer", "viewer"  # reads
    PUBLISHER = "publisher", "publisher"  # and publishes versions, as a pipeline does
    DEPLOYER = "deployer", "deployer"  # and deploys
    OWNER = "owner", "owner"  # and changes the team's services, their builds and the members


LADDER = (Role.VIEWER, Role.PUBLISHER, Role.DEPLOYER, Role.OWNER)
RIGHTS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({"read"}),
    Role.PUBLISHER: frozenset({"read", "publish"}),
    Role.DEPLOYER: frozenset({"read", "publish", "deploy"}),
    # "admin" and "build" on the team's own services only, and never without a service.
    Role.OWNER: frozenset({"read", "publish", "deploy", "build", "admin"}),
}


def unowned_role(any_team: bool) -> Role | None:
    """Return the role that each account has on services without a team; None: no rights.

    Without teams, everyone deploys. Once there is a team it is DEFAULT_ROLE, whatever roles the account has in teams:
    otherwise an owner, who decides about the members of one team, would decide about everyone's services.
    """
    if not any_team:
        return Role.DEPLOYER
    return Role(settings.DEFAULT_ROLE) if settings.DEFAULT_ROLE else None
