"""What git proves itself with, lent to it for one command.

A password is read from a file by a credential helper, which answers for the repository's own server alone: a redirect
to another one gets nothing. A key is a file that ssh is pointed at. Neither is in an argument or in the environment,
and both are gone from the disk before anything of the repository is run.
"""

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from access.secrets import Secret, reveal

NOBODY = Secret("")
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
    password: Secret = NOBODY
    key: Secret = NOBODY

    @property
    def secrets(self) -> list[str]:
        return [text for text in (reveal(self.password), reveal(self.key)) if text]


NONE = Credential()


@contextmanager
def lent(credential: Credential, url: str, folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """`environment` as git needs it to reach `url`, while the context lasts; then nothing of it lies in `folder`."""
    scheme, sign, rest = url.partition("://")
    over_http = bool(sign) and scheme.startswith("http")
    over_ssh = scheme == "ssh" if sign else not url.startswith("/")
    if not ((over_http and credential.password) or (over_ssh and credential.key)):
        yield dict(environment)
        return
    private = Path(tempfile.mkdtemp(prefix=".credential-", dir=folder))  # 0700
    try:
        if over_http:
            host = rest.partition("/")[0].rpartition("@")[2]
            yield _with_password(credential, f"{scheme}://{host}", private, environment)
        else:
            yield _with_key(credential, private, environment)
    finally:
        shutil.rmtree(private)


def _with_password(
    credential: Credential, server: str, private: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    # A server that takes a token asks for some name all the same, and does not look at it.
    answer = f"username={credential.username or 'git'}\npassword={reveal(credential.password)}\n"
    for name, text in (("helper", _HELPER), ("server", server), ("answer", answer)):
        _write(private / name, text)
    count = int(environment.get("GIT_CONFIG_COUNT", "0"))
    return {
        **environment,
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": "credential.helper",
        f"GIT_CONFIG_VALUE_{count}": f"!sh {shlex.quote(str(private / 'helper'))}",
    }


def _with_key(credential: Credential, private: Path, environment: Mapping[str, str]) -> dict[str, str]:
    key = reveal(credential.key).replace("\r\n", "\n").strip("\n") + "\n"
    _write(private / "key", key)
    ssh = environment.get("GIT_SSH_COMMAND", "ssh")
    # Only this key: whatever an agent of the worker's user holds is for others.
    only = f"{ssh} -i {shlex.quote(str(private / 'key'))} -o IdentitiesOnly=yes -o BatchMode=yes"
    return {name: text for name, text in environment.items() if name != "SSH_AUTH_SOCK"} | {"GIT_SSH_COMMAND": only}


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
