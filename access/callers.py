"""Who is asking: one value that views hand to whatever decides, and the one place that says what they may do."""
from dataclasses import dataclass

SCOPES = ("read", "publish", "deploy", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was recognised, by a session or by a token."""

    name: str
    user_id: int | None = None
    token_id: int | None = None
    scopes: frozenset[str] = frozenset()
    services: frozenset[int] = frozenset()  # empty: every service
    address: str = ""
    request_id: str = ""

    def may(self, scope: str, service_id: int | None = None) -> bool:
        """Whether the caller has the right `scope`, for this service where one is named. admin includes all others."""
        if service_id is not None and self.services and service_id not in self.services:
            return False
        return scope in self.scopes or "admin" in self.scopes

    @property
    def key(self) -> str:
        """Names the caller among idempotency keys: a token has its own, a person has one for all sessions."""
        return f"token:{self.token_id}" if self.token_id else f"user:{self.user_id}"


SYSTEM = Caller(name="system", scopes=frozenset(SCOPES))
