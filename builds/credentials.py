"""The credential of a repository, given to git for one command.

A password is read from a file by a credential helper, which answers for the repository's own server alone: a redirect
to another one gets nothing. A key is a file that ssh is pointed at. Neither is in an argument or in the environment,
and both are gone from the disk before anything of the repository is run.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from access.secrets import Secret, reveal

NO_SECRET = Secret("")
FOLDER = ".credential"  # in git's home
_HELPER = """\
[ "$1" = get ] || exit 0
here=${0%/*} protocol='' host=''
while IFS='=' read -r name value; do
    case $name in protocol) protocol=$value ;; host) host=$value ;; esac
done
[ "$protocol://$host" = "$(cat "$here/server")" ] || exit 0
cat "$here/answer"
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """`username` and `password` for https; `key`, a private key without a passphrase, for ssh."""

    username: str = ""
    password: Secret = NO_SECRET
    key: Secret = NO_SECRET

    @property
    def secrets(self) -> list[str]:
        return [text for text in (reveal(self.password), reveal(self.key)) if text]


NONE = Credential()


@dataclass(frozen=True, slots=True)
class Opened:
    """Files below git's home, by name, and git's environment."""

    files: Mapping[str, bytes]
    environment: Mapping[str, str]


def opened(credential: Credential, url: str, home: str, environment: Mapping[str, str]) -> Opened:
    """Return the files and environment with which git reaches `url`. `home`: git's home, as seen by git. Pure."""
    scheme, sign, rest = url.partition("://")
    if sign and scheme.startswith("http") and credential.password:
        host = rest.partition("/")[0].rpartition("@")[2]
        return _by_password(credential, f"{scheme}://{host}", f"{home}/{FOLDER}", environment)
    if (scheme == "ssh" if sign else not url.startswith("/")) and credential.key:
        return _by_key(credential, f"{home}/{FOLDER}", environment)
    return Opened({}, environment)


def _by_password(credential: Credential, server: str, folder: str, environment: Mapping[str, str]) -> Opened:
    # A server that takes a token still asks for a user name, and ignores it.
    answer = f"username={credential.username or 'git'}\npassword={reveal(credential.password)}\n"
    files = {
        f"{FOLDER}/{name}": text.encode()
        for name, text in (("helper", _HELPER), ("server", server), ("answer", answer))
    }
    count = int(environment.get("GIT_CONFIG_COUNT", "0"))
    return Opened(
        files,
        {
            **environment,
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": "credential.helper",
            f"GIT_CONFIG_VALUE_{count}": f"!sh {shlex.quote(f'{folder}/helper')}",
        },
    )


def _readable(key: str) -> str:
    """Return the key as ssh reads it: without text before it and without CRLF, which older rows may have."""
    text = key.replace("\r\n", "\n")
    for part in text.split("-----BEGIN ")[1:]:
        label = part.partition("-----")[0]
        inside, end, _ = part.partition(f"-----END {label}-----")
        if label.endswith("PRIVATE KEY") and end:
            return f"-----BEGIN {inside}{end}\n"
    return text.strip("\n") + "\n"


def _by_key(credential: Credential, folder: str, environment: Mapping[str, str]) -> Opened:
    key = _readable(reveal(credential.key))
    ssh = environment.get("GIT_SSH_COMMAND", "ssh")
    # Only this key: keys in the agent of the worker's user are for other repositories.
    only = f"{ssh} -i {shlex.quote(f'{folder}/key')} -o IdentitiesOnly=yes -o BatchMode=yes"
    kept = {name: text for name, text in environment.items() if name != "SSH_AUTH_SOCK"}
    return Opened({f"{FOLDER}/key": key.encode()}, kept | {"GIT_SSH_COMMAND": only})
