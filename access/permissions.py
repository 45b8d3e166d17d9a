"""What somebody may do by their roles in teams: looked up once a request, however many services it touches."""

from collections.abc import Hashable, Mapping
from typing import Protocol

from .roles import RIGHTS, unowned_role


class Owners(Protocol):
    def __call__(self, service_id: int | None = None) -> dict[int, int | None]:
        """{service id: id of the team that owns it, or None}, of this service or of all. One query."""


def _nobody(service_id: int | None = None) -> dict[int, int | None]:
    return {}


owners: Owners = _nobody  # which services there are is known above: the domain puts its query here at the start


class Rights:
    """Somebody's roles, {team id: role}, cut down to `ceiling`: the scopes of the token that was shown, or all.

    `any_team`: whether there is a team at all, which decides about services of no team (`access.roles.unowned_role`).
    """

    def __init__(self, roles: Mapping[int, str], ceiling: frozenset[str], any_team: bool):
        self.roles, self.any_team = dict(roles), any_team
        self._ceiling = ceiling
        unowned = unowned_role(any_team)
        self.on_unowned = RIGHTS[unowned] & ceiling if unowned else frozenset()
        self.anywhere = self.on_unowned.union(*(self.in_team(team) for team in self.roles))
        self._team_of: dict[int, int | None] | None = None

    @property
    def permission_key(self) -> Hashable:
        return frozenset(self.roles.items()), self._ceiling, self.on_unowned

    def without_cache(self) -> "Rights":
        """The same roles, before it was looked up which services are whose."""
        return Rights(self.roles, self._ceiling, self.any_team)

    def in_team(self, team_id: int | None) -> frozenset[str]:
        """The rights on what this team owns; None: on what no team owns."""
        if team_id is None:
            return self.on_unowned
        role = self.roles.get(team_id)
        return RIGHTS[role] & self._ceiling if role else frozenset()

    def on_service(self, service_id: int) -> frozenset[str]:
        """The rights on a service; none for one that is not there.

        One query for all services together, the first time one is asked for; one more for a service newer than that.
        """
        if self._team_of is None:
            self._team_of = owners()
        if service_id not in self._team_of:
            self._team_of.update(owners(service_id))
            if service_id not in self._team_of:
                return frozenset()
        return self.in_team(self._team_of[service_id])
