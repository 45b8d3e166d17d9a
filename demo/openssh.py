"""A private OpenSSH server: its keys, configuration and command. Needs no root.

Used by the demo for its hosts and by the tests for theirs.
"""

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SEARCHED = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/sbin"])


def find_sshd() -> str | None:
    """Return the absolute path of sshd (it requires one), or None if it is not installed."""
    path = shutil.which("sshd") or shutil.which("sshd", path=SEARCHED)
    return str(Path(path).resolve()) if path else None


def make_key(path: Path) -> str:
    """Create an ed25519 key at `path` unless it exists. Return its public key as "ssh-ed25519 AAAA…"."""
    public = path.with_name(path.name + ".pub")
    if path.exists() and public.exists():
        return public.read_text().strip()
    key = Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
    public.write_text(line + "\n")
    return line


def write_private(path: Path, text: str) -> None:
    """Write a file that is readable only by its owner from the start."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def configuration(folder: Path, address: str, port: int, user: str, *, pam: bool = False, extra: str = "") -> str:
    """Return the text of sshd_config. `folder` holds host_key and authorized_keys; `extra` are lines that go before
    them.

    Hosts have a home of their own: the start-up files of the person who runs the demo or the tests do not belong there.
    """
    return f"""{extra}
ListenAddress {address}
Port {port}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/authorized_keys"
AllowUsers {user}
PidFile none
StrictModes no
UsePAM {"yes" if pam else "no"}
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
X11Forwarding no
PrintMotd no
PrintLastLog no
UseDNS no
SetEnv HOME="{folder}"
LoginGraceTime 30
MaxStartups 1000
MaxSessions 1000
MaxAuthTries 20
LogLevel VERBOSE
"""


def prepare(folder: Path, address: str, port: int, authorized: str, *, extra: str = "") -> list[str]:
    """Write the server's files into `folder`. Return the command that runs it in the foreground."""
    sshd = find_sshd()
    if sshd is None:
        raise FileNotFoundError("this machine has no sshd (Debian: openssh-server)")
    folder.mkdir(parents=True, exist_ok=True)
    make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(authorized + "\n")
    user = getpass.getuser()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd as root requires this empty folder
    # From OpenSSH 9.8 on, a server punishes addresses whose logins fail; tests fail some on purpose.
    for lines in ("PerSourcePenalties no\n" + extra, extra):
        text = configuration(folder, address, port, user, pam=_locked_account(user), extra=lines)
        (folder / "sshd_config").write_text(text)
        tried = subprocess.run([sshd, "-t", "-f", str(folder / "sshd_config")], capture_output=True, text=True)
        # In the demo the supervisor reaps every child, and may be quicker: then the status is lost and looks like 0.
        if tried.returncode == 0 and "Bad configuration" not in tried.stderr:
            return [sshd, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
    raise RuntimeError(f"sshd rejects its configuration: {tried.stderr.strip()}")


def _locked_account(user: str) -> bool:
    """Return whether sshd as root without PAM would refuse `user`, because the account has no usable password."""
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)
