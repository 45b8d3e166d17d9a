"""What can go wrong between a worker and a host, from the wire upwards. Each docstring is the message.

`passing` says whether another try may help. Facts put into a message are addresses, fingerprints and reasons of the
operating system; never a key, a password, or text that the host chose, but for the names of its algorithms.
"""

from .codes import Code


class WireError(Exception):
    """The host could not be spoken to."""

    code = Code.UNREACHABLE
    passing = False
    reached: bool | None = True  # whether the host answered at all; None: it was not asked
    hint = "Try the host check; it names what is wrong."

    def __init__(self, hint: str = "", **facts: object):
        self.facts = facts
        self.hint = hint or type(self).hint
        super().__init__(" ".join((type(self).__doc__ or "").format(**facts).split()))


class Unreachable(WireError):
    """{where} cannot be reached: {reason}."""

    code = Code.UNREACHABLE
    passing = True
    reached = False
    hint = "Is the host up, is the address right, and does a firewall let port 22 (or the one given) through?"


class ConnectionLost(WireError):
    """The connection to {where} was lost: {reason}."""

    code = Code.CONNECTION_LOST
    passing = True
    reached = False
    hint = "The host goes on by itself; the next try attaches to what it does."


class SlowShell(WireError):
    """{where} lets the user in, but its login shell began no command within {seconds} s."""

    code = Code.SLOW_SHELL
    passing = True
    hint = (
        "Look at what the login shell's start-up files do: /etc/profile, ~/.profile, ~/.bashrc. The next try waits "
        "for longer."
    )


class NoCommonAlgorithm(WireError):
    """{where} and this program have nothing in common to speak: {gaps}."""

    code = Code.NO_COMMON_ALGORITHM
    hint = "Update its SSH server."

    @property
    def legacy_would_do(self) -> bool:
        return bool(self.facts.get("legacy"))


class TooOld(WireError):
    """{where} speaks another version of SSH than 2."""

    code = Code.TOO_OLD
    hint = "Is it an SSH server at all? One that speaks only version 1 must be replaced: nothing of it is safe."


class NotTrusted(WireError):
    """{where} has no host key pinned, so it is not trusted and nothing was sent to it."""

    code = Code.NOT_TRUSTED
    hint = "Check the host, compare the fingerprint with the host's own, and trust it."


class KeyChanged(WireError):
    """{where} shows another host key than the pinned one: pinned {pinned}, offered {offered}. Nothing was sent."""

    code = Code.KEY_CHANGED
    hint = "Was the host installed anew? Compare fingerprints on the host itself before trusting the new key."

    @property
    def offered(self) -> str:
        """The whole key that was offered, as `ssh-ed25519 AAAA…`; empty when the host has no key of the pinned type."""
        return str(self.facts.get("key", ""))


class AuthRefused(WireError):
    """{where} did not let {username} in: {reason}."""

    code = Code.AUTH_REFUSED
    hint = (
        "Is the credential's public key in the user's authorized_keys, and its type among those that sshd takes "
        "(PubkeyAcceptedAlgorithms)? Or is the password right? Is the account locked or expired (chage -l, passwd -S "
        "on the host)?"
    )


class BadCredential(WireError):
    """The credential cannot be used: {reason}."""

    code = Code.BAD_CREDENTIAL
    reached = None
    hint = "Give a private key in OpenSSH, PEM or PKCS#8 form (ed25519, ecdsa or rsa), and its passphrase if any."


class SessionRefused(WireError):
    """{where} lets the user in but refuses {what}."""

    code = Code.SESSION_REFUSED
    hint = "Look at the sshd settings for this user (MaxSessions, ForceCommand, AllowTcpForwarding)."


class DoesNotFit(WireError):
    """The host's answer does not fit the plan: {reason}."""

    code = Code.UNEXPECTED_ANSWER
    hint = "Is this the right host, and who else may change what runs on it? Nothing more of its answer was believed."


class Overdue(WireError):
    """The host did not end the run within {seconds} s, which is longer than all limits of its steps together."""

    code = Code.OVERDUE
    hint = "Look on the host what of the operation is still alive."
