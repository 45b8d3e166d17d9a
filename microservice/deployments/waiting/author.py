"""Who asked for what waits: with the rights of now, because what they may no longer do does not begin."""

from access.authentication import acting_as
from access.callers import Caller

from ...models import DeploymentRequest

AUTOMATION = frozenset({"read", "deploy"})


def author_of(request: DeploymentRequest) -> Caller | None:
    """Return the caller who asked. None where the account or the token no longer exists, or may not be used."""
    if request.automatic:
        return Caller(name=request.deployment.requested_by, scopes=AUTOMATION)
    token = request.token
    if request.user is None or not request.user.is_active:
        return None
    if request.by_token and (token is None or token.revoked):
        return None
    return acting_as(request.user, token)
