"""The roles in a team, and the rights that each gives. A ladder: each includes those before it."""
from django.db.models import TextChoices


class Role(TextChoices):
    VIEWER = "viewer", "viewer"  # looks
    PUBLISHER = "publisher", "publisher"  # and publishes versions: what a pipeline needs
    DEPLOYER = "deployer", "deployer"  # and deploys
    OWNER = "owner", "owner"  # and changes the team's services and members


LADDER = (Role.VIEWER, Role.PUBLISHER, Role.DEPLOYER, Role.OWNER)
RIGHTS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({"read"}),
    Role.PUBLISHER: frozenset({"read", "publish"}),
    Role.DEPLOYER: frozenset({"read", "publish", "deploy"}),
    # "admin" of the team's own services and members: a caller has it for those only, and never without naming one.
    Role.OWNER: frozenset({"read", "publish", "deploy", "admin"}),
}


def of_nobodys(roles: list[str]) -> Role:
    """The role on services that no team owns, of somebody with these roles in teams.

    Such a service belongs to everybody: where no teams are used, everybody deploys. Whoever is in teams has there the
    best role that they have in any, so that a viewer stays one; nobody owns what no team owns.
    """
    if not roles:
        return Role.DEPLOYER
    return LADDER[min(max(LADDER.index(Role(role)) for role in roles), LADDER.index(Role.DEPLOYER))]
