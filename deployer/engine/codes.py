"""What went wrong, and who said so, as one word: what people are advised hangs on it, never on a sentence."""

from enum import StrEnum


class Code(StrEnum):
    """Kept with an operation. A word that is out of use stays here: rows have it."""

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
    # The host ran something else, or nothing, in the program's place, and says why itself (messages.py).
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
