"""Who asked for what waits: with the rights of now, because what they may no longer do does not begin."""

from access.acting_later import caller_later
from access.callers import Caller, automation

from ...models import DeploymentRequest


def author_of(request: DeploymentRequest) -> Caller | None:
    """Return the caller who asked. None where the account or the token no longer exists, or may not be used."""
    if request.automatic:
        return automation(request.deployment.requested_by)
    return caller_later(request.user_id, request.token_id, request.by_token)
