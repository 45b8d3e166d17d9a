"""LIMIT: the OpenSSH client doing the bare work with one connection and one command a host, sixteen at once.

No journal, no undo, no lock, no record of it anywhere: what the network, sshd, tar and a few small processes cost
whatever is built around them.
"""

from pathlib import Path

from ..hosts import Hosts

AT_ONCE = 16
WORK = (
    "set -e; mkdir -p $R/releases/.$V.part $R/run; tar xzf - -C $R/releases/.$V.part; "
    "mv -T $R/releases/.$V.part $R/releases/$V; rm -f $R/run/pid; "
    "ln -sfn releases/$V $R/current.new; mv -Tf $R/current.new $R/current; echo $$ > $R/run/pid; "
    "grep -qx $V $R/current/VERSION && test -s $R/run/pid"
)


def prepare(folder: Path, hosts: Hosts) -> Path:
    """Write the client's configuration and the script that deploys to one host. Return the script."""
    configuration = folder / "ssh_config"
    configuration.write_text(
        f"Port {hosts.port}\nUser {hosts.user}\nIdentityFile {hosts.key}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {hosts.known}\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nBatchMode yes\n"
        "LogLevel ERROR\nCiphers aes128-gcm@openssh.com\nKexAlgorithms curve25519-sha256\n"
    )
    script = folder / "limit.sh"
    script.write_text(f'R={hosts.root}/$3 V=$2\nexec ssh -F {configuration} "$3" "R=$R V=$V; "\'{WORK}\' <"$1"\n')
    return script


def command(script: Path, hosts: Path, package: Path, version: str) -> list[str]:
    """Return the command line. `hosts` is a file with one address a line."""
    return ["xargs", "-a", str(hosts), "-P", str(AT_ONCE), "-n", "1", "sh", str(script), str(package), version]
