"""The files that a build sees: a read-only system without secrets, and its own folders. Reads the disk, changes nothing
outside a build's folder."""

import fcntl
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

# The user of builds if the worker is root. No account has it: UIDs from 1879048192 to 2^31 are unassigned.
# The kernel lets UID 0 write to /proc/sys even without capabilities, so root outside is never root inside.
BUILD_UID = 2_000_000_000
INSIDE_UID = 1000
DNS = "198.18.0.53"  # answered by the sandbox's network with this machine's resolver
FOLDERS = ("work", "home", "git-home", "tmp")
BUILD, HOME = "/build", "/home/build"

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Needed by compilers and clients. Not all of /etc: it holds passwords of services.
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "timezone",
    "hosts",
    "protocols",
    "services",
    "mime.types",
    "os-release",
    "debian_version",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates",
    "ca-certificates.conf",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "crypto-policies",
    "ssh/ssh_known_hosts",
    "perl",
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine, and its path inside."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """`folder`: the build's, outside. `links`: (target, name) of symbolic links. `root`: where namespaces mounts it."""

    folder: str
    mounts: tuple[Mount, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def with_mounts(self, mounts: Iterable[Mount]) -> "Layout":
        return replace(self, mounts=(*self.mounts, *mounts))

    @property
    def root(self) -> str:
        return f"{self.folder}/root"


def make(tools: Iterable[str] = (), uid: int = INSIDE_UID, network: bool = False) -> Layout:
    """Create a folder for a build and return its layout. `tools`: more paths that builds may read."""
    folder = Path(tempfile.mkdtemp(prefix="deployer-build-"))
    for name in (*FOLDERS, "etc", "root", "repository"):
        _make(folder / name)
    for name in ("source", "out"):
        _make(folder / "work" / name)
    _write_etc(folder / "etc", uid, network)
    if os.geteuid() == 0:  # the build's user may traverse it, and owns the writable folders
        os.chown(folder, 0, BUILD_UID)
        folder.chmod(0o750)
        for path in [folder / name for name in (*FOLDERS, "root", "work/source", "work/out")]:
            os.chown(path, BUILD_UID, BUILD_UID)
    mounts, links = _system(tools)
    return Layout(
        str(folder),
        (
            *mounts,
            *(Mount(str(path), f"/etc/{path.name}") for path in sorted((folder / "etc").iterdir())),
            Mount(f"{folder}/work", BUILD, True),
            Mount(f"{folder}/tmp", "/tmp", True),  # noqa: S108 - inside
        ),
        links,
    )


def _make(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)  # regardless of the worker's umask: the build's user traverses it


def _system(tools: Iterable[str]) -> tuple[list[Mount], tuple[tuple[str, str], ...]]:
    links = tuple((str(Path(name).readlink()), name) for name in _SYSTEM if Path(name).is_symlink())
    folders = [name for name in _SYSTEM if not Path(name).is_symlink()]
    configured = (
        [f"/etc/{name}" for name in _ETC]
        + sorted(str(path) for path in Path("/etc").glob("java-*"))
        + sorted(str(path) for path in Path("/etc").glob("python3*"))
    )
    names = ["/usr", *folders, *configured, *tools]
    return [Mount(name, name) for name in names if Path(name).exists()], links


def _write_etc(folder: Path, uid: int, network: bool) -> None:
    gid = uid
    texts = {
        "passwd": f"root:x:0:0::/:/usr/sbin/nologin\nbuild:x:{uid}:{gid}::{HOME}:/bin/sh\n",
        "group": f"root:x:0:\nbuild:x:{gid}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": f"nameserver {DNS}\n" if network else "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)


def hold(folder: str) -> int:
    """Lock the folder while the returned descriptor is open; a killed worker releases it."""
    held = os.open(f"{folder}/held", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def remove_abandoned() -> int:
    """Remove the folders of builds whose worker was killed. Return their number."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob("deployer-build-*"):
        try:
            held = os.open(folder / "held", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # another user's, or just being created
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(str(folder))
            removed += 1
        except OSError:
            continue
        finally:
            os.close(held)
    return removed


def as_owner() -> list[str]:
    """Return the prefix of a command that must reach files that a build made unreadable for its own user."""
    return [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--"]


def remove(folder: str) -> None:
    """Remove a build's folder, even with unreadable folders or paths longer than PATH_MAX."""
    for command in (
        ["rm", "-rf", "--", folder],
        ["sh", "-c", f"chmod -R u+rwX -- {shlex.quote(folder)}; exec rm -rf -- {shlex.quote(folder)}"],
    ):
        if os.path.lexists(folder):
            subprocess.run([*as_owner(), *command], capture_output=True, check=False)
