"""What went wrong, and which side reported it, as one word: advice depends on it, never on a sentence.

The texts are in messages/texts/operations.py. The engine knows codes and parameters only, and logs them as they are.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from messages import Message

PREFIX = "operation."


class Code(StrEnum):
    """Stored with an operation. A code that is no longer used stays here: rows have it."""

    # The way to the host: the worker says so (errors.py).
    UNREACHABLE = "unreachable"
    CONNECTION_LOST = "connection_lost"
    NOT_TRUSTED = "not_trusted"
    KEY_CHANGED = "key_changed"
    AUTH_REFUSED = "auth_refused"
    BAD_CREDENTIAL = "bad_credential"
    SESSION_REFUSED = "session_refused"
    SLOW_SHELL = "slow_shell"
    NO_COMMON_ALGORITHM = "no_common_algorithm"
    TOO_OLD = "too_old"
    UNEXPECTED_ANSWER = "unexpected_answer"
    OVERDUE = "overdue"
    # The host ran something else, or nothing, in the program's place, and says why itself (host_refusals.py).
    NOT_RUN = "not_run"
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105  a code, no password
    ACCOUNT_EXPIRED = "account_expired"
    ACCOUNT_LOCKED = "account_locked"
    LOGINS_OFF = "logins_off"
    LIMITED_SHELL = "limited_shell"
    SUDO_TTY = "sudo_tty"
    SUDO_PASSWORD = "sudo_password"  # noqa: S105
    SUDO_REFUSED = "sudo_refused"
    SUDO_MISSING = "sudo_missing"
    # The program on the host, before it began (program.Answer).
    LOWER_FENCE = "lower_fence"
    BUSY = "busy"
    CANNOT_WRITE = "cannot_write"
    NO_TOOL = "no_tool"
    UNSETTLED = "unsettled"
    RUN_GONE = "run_gone"
    OTHER_HOST = "other_host"  # the folder is marked as another one's
    # The program on the host, in a step (the journal).
    STEP_FAILED = "step_failed"  # a command of the service said so, by its exit status
    TIMEOUT = "timeout"
    IDLE = "idle"
    UNCHECKED = "unchecked"  # the check did not pass in its time
    DISK = "disk"
    NOT_WRITABLE = "not_writable"
    NOT_READY = "not_ready"  # what a later step needs is not there, as was seen before the stop
    OTHER_PACKAGE = "other_package"
    PACKAGE = "package"  # what is in it is refused
    RUN_AS = "run_as"
    # The engine of containers, by what a command printed (container_errors.py).
    ENGINE_AWAY = "engine_away"
    ENGINE_DENIED = "engine_denied"  # its socket, to the user
    ENGINE_DISK = "engine_disk"
    PORT_TAKEN = "port_taken"
    CONTAINER_EXISTS = "container_exists"
    IMAGE_UNKNOWN = "image_unknown"
    IMAGE_DENIED = "image_denied"
    REGISTRY_AWAY = "registry_away"
    WRONG_PLATFORM = "wrong_platform"
    DIED = "died"
    CANCELLED = "cancelled"
    LEFT_ON_HOST = "left_on_host"  # of what was to be deleted
    CUT = "cut"  # the package did not arrive whole
    # This system.
    NO_PACKAGE = "no_package"
    NO_CREDENTIAL = "no_credential"
    TOO_MANY_JUMPS = "too_many_jumps"
    DEFINITION = "definition"
    SECRETS = "secrets"
    WORKER = "worker"
    LOCK_BROKEN = "lock_broken"
    FORGOTTEN = "forgotten"
    DELETE_FORGOTTEN = "delete_forgotten"  # it waited for the delete of an instance that was forgotten
    OTHER = "other"


# What the program on a host may give as the code of a step: a host is not believed any other.
STEP_CODES = frozenset(
    {
        Code.TIMEOUT,
        Code.IDLE,
        Code.UNCHECKED,
        Code.DISK,
        Code.NOT_WRITABLE,
        Code.NOT_READY,
        Code.OTHER_PACKAGE,
        Code.PACKAGE,
        Code.RUN_AS,
        Code.DIED,
        Code.CANCELLED,
    }
)


def error(code: Code, /, **params: Any) -> Message:
    """Return the message about an operation that went wrong with this code."""
    return Message(f"{PREFIX}{code}", params)


def reason(name: str, /, **params: Any) -> Message:
    """Return the message that stands as a reason inside another one."""
    return Message(f"reason.{name}", params)


def sentence(message: Message) -> Message:
    """Return the whole of what is said of an operation: its error, what the host said, and the state it is in."""
    whole = message
    if said := message.params.get("said"):
        whole = Message(f"{PREFIX}with_output", {"error": whole, "said": said})
    if state := message.params.get("state"):
        whole = Message(f"{PREFIX}with_state", {"error": whole, "state": state})
    if seconds := message.params.get("given_up_after"):
        whole = Message(f"{PREFIX}given_up", {"error": whole, "seconds": seconds})
    return whole


def plain(message: Message) -> str:
    """Return code and parameters on one line: for logs, and wherever no table of texts is at hand."""
    return _plain(message.code.removeprefix(PREFIX).removeprefix("reason."), message.params)


def _plain(code: str, params: Mapping[str, Any]) -> str:
    if not params:
        return code
    return f"{code} ({', '.join(f'{name}={_plain_value(value)}' for name, value in params.items())})"


def _plain_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_plain_value, value))
    return plain(value) if isinstance(value, Message) else str(value)
