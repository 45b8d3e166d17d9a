"""What can go wrong between a worker and a host, from the wire upwards. Each docstring is the message.

`passing` says whether another try may help. Facts put into a message are addresses, fingerprints and reasons of the
operating system; never a key, a password, or text that the host chose.
"""


class WireError(Exception):
    """The host could not be spoken to."""

    passing = False
    reached: bool | None = True  # whether the host answered at all; None: it was not asked
    hint = "Try the host check; it names what is wrong."

    def __init__(self, **facts: object):
        self.facts = facts
        super().__init__(" ".join((type(self).__doc__ or "").format(**facts).split()))


class Unreachable(WireError):
    """{where} cannot be reached: {reason}."""

    passing = True
    reached = False
    hint = "Is the host up, is the address right, and does a firewall let port 22 (or the one given) through?"


class ConnectionLost(WireError):
    """The connection to {where} was lost: {reason}."""

    passing = True
    reached = False
    hint = "The host goes on by itself; the next try attaches to what it does."


class NotTrusted(WireError):
    """{where} has no host key pinned, so it is not trusted and nothing was sent to it."""

    hint = "Check the host, compare the fingerprint with the host's own, and trust it."


class KeyChanged(WireError):
    """{where} shows another host key than the pinned one: pinned {pinned}, offered {offered}. Nothing was sent."""

    hint = "Was the host installed anew? Compare fingerprints on the host itself before trusting the new key."

    @property
    def offered(self) -> str:
        """The whole key that was offered, as `ssh-ed25519 AAAA…`; empty when the host has no key of the pinned type."""
        return str(self.facts.get("key", ""))


class AuthRefused(WireError):
    """{where} did not let {username} in: {reason}."""

    hint = "Is the credential's public key in the user's authorized_keys, or the password right?"


class BadCredential(WireError):
    """The credential cannot be used: {reason}."""

    reached = None

    hint = "Give a private key in OpenSSH or PEM form (ed25519, ecdsa or rsa), with its passphrase if it has one."


class Refused(WireError):
    """{where} lets the user in but refuses {what}."""

    hint = "Look at the sshd settings for this user (MaxSessions, ForceCommand, AllowTcpForwarding)."


class DoesNotFit(WireError):
    """The host's answer does not fit the plan: {reason}."""

    hint = "Is this the right host, and who else may change what runs on it? Nothing more of its answer was believed."


class Overdue(WireError):
    """The host did not end the run within {seconds} s, which is longer than all limits of its steps together."""

    hint = "Look on the host what of the operation is still alive."
