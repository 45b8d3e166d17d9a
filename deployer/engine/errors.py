"""What can go wrong between a worker and a host, from the connection upwards.

An error carries a code and facts; its text and what to do next are in messages/texts/operations.py. Facts are
addresses, fingerprints and reasons of the operating system; never a key, a password, or text that the host chose,
except the names of its algorithms. `str(error)` is the code with its facts, for logs.
"""

from typing import Any, ClassVar

from messages import Message

from .codes import Code, error, plain, reason


class InvalidDefinition(ValueError):
    """A part of a service's definition is not allowed. `message` says why; as text its code and parameters."""

    def __init__(self, code: str, **params: Any):
        self.message = Message(code, params)
        super().__init__(plain(self.message))


class WireError(Exception):
    """The host cannot be spoken to. `passing`: another attempt may help.

    `reached`: whether the host answered at all; None where it was not asked.
    """

    code: Code = Code.UNREACHABLE
    passing: ClassVar[bool] = False
    reached: ClassVar[bool | None] = True
    required: ClassVar[tuple[str, ...]] = ("where",)  # the facts that its text names
    internal: ClassVar[tuple[str, ...]] = ()  # facts for the caller, which no text names

    def __init__(self, **facts: Any):
        self.facts = facts
        super().__init__(plain(self.message))

    @property
    def message(self) -> Message:
        return error(self.code, **{name: fact for name, fact in self.facts.items() if name not in self.internal})


class Unreachable(WireError):
    """No connection could be made. Facts: where, reason."""

    code = Code.UNREACHABLE
    passing = True
    reached = False
    required = ("where", "reason")


class ConnectionLost(WireError):
    """The connection broke. The run goes on; the next attempt reattaches. Facts: where, reason."""

    code = Code.CONNECTION_LOST
    passing = True
    reached = False
    required = ("where", "reason")


class SlowShell(WireError):
    """The login succeeded, but the login shell started no command in time. Facts: where, seconds."""

    code = Code.SLOW_SHELL
    passing = True
    required = ("where", "seconds")


class NoCommonAlgorithm(WireError):
    """A list of algorithms in which the server and we have nothing in common. Facts: where, gaps, remedy, legacy."""

    code = Code.NO_COMMON_ALGORITHM
    required = ("where", "gaps", "remedy")
    internal = ("legacy",)

    @property
    def legacy_would_do(self) -> bool:
        return bool(self.facts.get("legacy"))


class TooOld(WireError):
    """The server does not speak version 2 of SSH. Facts: where."""

    code = Code.TOO_OLD


class NotTrusted(WireError):
    """No host key is pinned, so nothing was sent. Facts: where."""

    code = Code.NOT_TRUSTED


class KeyChanged(WireError):
    """The host shows another key than the pinned one, so nothing was sent. Facts: where, pinned, offered, key."""

    code = Code.KEY_CHANGED
    required = ("where", "pinned", "offered")
    internal = ("key",)

    @property
    def offered(self) -> str:
        """The whole key that was offered, as `ssh-ed25519 AAAA…`; "" when the host has no key of the pinned type."""
        return str(self.facts.get("key", ""))


class AuthRefused(WireError):
    """The host rejected the login. Facts: where, username, reason."""

    code = Code.AUTH_REFUSED
    required = ("where", "username", "reason")


class BadCredential(WireError):
    """The credential cannot be used. Facts: reason, and remedy, which has a default."""

    code = Code.BAD_CREDENTIAL
    reached = None
    required = ("reason", "remedy")
    internal = ("about",)

    def __init__(self, name: str, /, remedy: str = "key_forms", about: str = "secret", **params: Any):
        """Take the reason's `name`. `about`: the field of the credential that is wrong."""
        super().__init__(reason=reason(name, **params), remedy=Message(f"remedy.{remedy}"), about=about)

    @property
    def with_remedy(self) -> Message:
        return Message("key_unusable", {"reason": self.message, "remedy": self.facts["remedy"]})

    @property
    def about(self) -> str:
        return str(self.facts["about"])


class SessionRefused(WireError):
    """The login succeeded, but the host opens no session or tunnel. Facts: where, what."""

    code = Code.SESSION_REFUSED
    required = ("where", "what")


class DoesNotFit(WireError):
    """The host answers something that cannot come from the plan. `name`: of the reason."""

    code = Code.UNEXPECTED_ANSWER
    required = ("reason",)

    def __init__(self, name: str):
        super().__init__(reason=reason(name))


class Overdue(WireError):
    """The run took longer than all limits of its steps together. Facts: seconds."""

    code = Code.OVERDUE
    required = ("seconds",)
