"""The roles in a team, and the rights that each gives. A ladder: each includes those before it."""

from django.conf import settings
from django.db.models import TextChoices


class Role(TextChoices):
    VIEWER = "viewer", "viewer"  # looks
    PUBLISHER = "publisher", "publisher"  # and publishes versions: what a pipeline needs
    DEPLOYER = "deployer", "deployer"  # and deploys
    OWNER = "owner", "owner"  # and changes the team's services, what their builds run, and the team's members


LADDER = (Role.VIEWER, Role.PUBLISHER, Role.DEPLOYER, Role.OWNER)
RIGHTS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({"read"}),
    Role.PUBLISHER: frozenset({"read", "publish"}),
    Role.DEPLOYER: frozenset({"read", "publish", "deploy"}),
    # "admin" and "build" of the team's own services: a caller has them for those only, and never without naming one.
    Role.OWNER: frozenset({"read", "publish", "deploy", "build", "admin"}),
}


def unowned_role(any_team: bool) -> Role | None:
    """The role that each account has on services of no team; None: no right at all.

    Where no teams are used, everyone deploys. Once there is a team it is DEFAULT_ROLE, whatever roles the account has
    in teams: otherwise an owner, who decides about the members of one team, would decide about everyone's services.
    """
    if not any_team:
        return Role.DEPLOYER
    return Role(settings.DEFAULT_ROLE) if settings.DEFAULT_ROLE else None
