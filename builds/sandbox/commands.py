"""The command lines of the sandbox, from the worker to the sandboxed command. Pure.

    worker → outer (mounts of root, cgroups) → guard (other user, dies with the worker) → network → means → inner

Secrets are in none of them: a command's environment comes over its standard input (see `start_text`).
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .layout import BUILD_UID, DNS, INSIDE_UID, Layout, Mount
from .processes import word_of

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUBBLEWRAP, NAMESPACES, OFF, NONE = "bubblewrap", "namespaces", "off", "none"
SHARED_MEMORY = 64 * 1024 * 1024  # bytes of /dev/shm
_OPEN = ("/usr", "/etc/", "/bin", "/sbin", "/lib")  # readable by every user
_REACHED = "/tmp"  # noqa: S108 - where root mounts the build's folder, which may be below an unreadable one
# Blocked for builds: metadata services of clouds, which hand out the machine's credentials.
_NEVER = ("169.254.0.0/16", "100.100.100.200/32", "fd00:ec2::254/128")
_NPROC_PER_NAMESPACE = (5, 14)  # the kernel since which RLIMIT_NPROC counts per user namespace


@dataclass(frozen=True, slots=True)
class Isolation:
    """How commands are isolated. `root`: the worker is root. `user_namespace`: False only for root without them."""

    means: str
    network: bool = False
    root: bool = False
    user_namespace: bool = True

    @property
    def uid(self) -> int:
        """The user id inside."""
        return INSIDE_UID if self.user_namespace else BUILD_UID


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one command. `groups`: cgroup folders to join; `addresses`: this machine's, which are blocked."""

    worker: int  # the command ends with this process
    file_size: int
    processes: int
    kernel: tuple[int, int] = (0, 0)
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def chain(way: Isolation, layout: Layout, bounds: Bounds, command: Sequence[str], mark: str = "") -> list[str]:
    """Return the complete command line. Its standard input is `start_text`. Each program of the chain has the words of
    those after it, so all of them carry the mark, and every user can read it there (see processes.end_marked)."""
    if way.means == OFF:
        return [*outer(way, layout, bounds), *guard(way, bounds), *inner(way, bounds, command, mark)]
    means = bubblewrap if way.means == BUBBLEWRAP else namespaces
    seen = _reachable(way, layout)
    return [
        *outer(way, layout, bounds),
        *guard(way, bounds),
        *network(way, bounds),
        *means(way, seen),
        *inner(way, bounds, command, mark),
    ]


def outer(way: Isolation, layout: Layout, bounds: Bounds) -> list[str]:
    """Return the part that runs as the worker's user. Root mounts what the build's user could not reach."""
    lines = [f"echo 0 > {shlex.quote(group)}/cgroup.procs" for group in bounds.groups]
    shut_in = way.means != OFF
    if way.root and shut_in:
        lines += [
            f"mount --rbind {shlex.quote(source)} {shlex.quote(staged)}" for source, staged in places_to_stage(layout)
        ]
        lines.append(f"mount --rbind {shlex.quote(layout.folder)} {_REACHED}")
        if way.network:  # visible to this chain only; without it pasta reports an error
            lines.append("{ mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200; } || true")
    if not lines:
        return []
    script = "\n".join(["set -e", *lines, 'exec "$@"'])
    private = ["unshare", "--mount", "--propagation", "private", "--"] if way.root and shut_in else []
    return [*private, "sh", "-c", script, "sh"]


def guard(way: Isolation, bounds: Bounds) -> list[str]:
    """Return the part that changes the user and ends with the worker: set the signal first, then check the worker."""
    user = (
        [f"--reuid={BUILD_UID}", f"--regid={BUILD_UID}", "--clear-groups"]
        if (way.root and way.user_namespace and way.means != OFF)
        else []
    )
    return [
        "setpriv",
        *user,
        "--pdeathsig",
        "KILL",
        "--",
        "sh",
        "-c",
        '[ "$PPID" = "$1" ] && shift && exec "$@"',
        "sh",
        str(bounds.worker),
    ]


def network(way: Isolation, bounds: Bounds) -> list[str]:
    """Return the part that creates a network behind pasta. No service of this machine is reachable: no loopback (no
    forwarded ports, no mapped gateway), and none of its other addresses (blackhole routes)."""
    if not way.network:
        return []
    dead = "\n".join(f"route add blackhole {address}" for address in sorted({*bounds.addresses, *_NEVER}))
    script = f'ip -force -batch - >/dev/null 2>&1 <<"END" || true\n{dead}\nEND\nexec "$@"'
    ports = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    pasta = ["pasta", "--quiet", "--log-file", "/dev/null", "--config-net", "--no-map-gw", "--dns-forward", DNS, *ports]
    return [*pasta, "--", "sh", "-c", script, "sh", "setpriv", "--pdeathsig", "KILL", "--"]


def bubblewrap(way: Isolation, layout: Layout) -> list[str]:
    own = ["user", "pid", "ipc", "uts", *([] if way.network else ["net"])]
    arguments = [
        "bwrap",
        *(f"--unshare-{name}" for name in own),
        "--unshare-cgroup-try",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--uid",
        str(way.uid),
        "--gid",
        str(way.uid),
        "--hostname",
        "build",
    ]
    for target, name in layout.links:
        arguments += ["--symlink", target, name]
    for mount in layout.mounts:
        arguments += ["--bind" if mount.writable else "--ro-bind", mount.source, mount.target]
    return [
        *arguments,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(SHARED_MEMORY),
        "--tmpfs",
        "/dev/shm",  # noqa: S108
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        "/",
        "--",
    ]


_MOUNTING = r"""
set -eu
place() {
    if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "${2%/*}"; [ -e "$2" ] || : > "$2"; fi
}
# The flags that a mount has are locked for a user namespace: they are named again, and more are added.
seal() {
    findmnt -rno VFS-OPTIONS,TARGET -R -M "$1" | while read -r has at; do
        mount -o "remount,bind,$has,nosuid,$2" "$at"
    done
}
ro() { place "$1" "$ROOT$2"; mount --rbind "$1" "$ROOT$2"; seal "$ROOT$2" nodev,ro; }
rw() { place "$1" "$ROOT$2"; mount --bind "$1" "$ROOT$2"; seal "$ROOT$2" nodev; }
mount -t tmpfs -o mode=755,size=4m,nosuid,nodev tmpfs "$ROOT"
mkdir -p "$ROOT/proc" "$ROOT/dev/pts" "$ROOT/.old"
mount -t proc -o nosuid,nodev,noexec proc "$ROOT/proc"
for device in null zero full random urandom tty; do
    : > "$ROOT/dev/$device"; mount --bind "/dev/$device" "$ROOT/dev/$device"
done
mkdir "$ROOT/dev/shm"; mount -t tmpfs -o mode=1777,size=SHARED,nosuid,nodev tmpfs "$ROOT/dev/shm"
ln -s /proc/self/fd "$ROOT/dev/fd"
ln -s fd/0 "$ROOT/dev/stdin"; ln -s fd/1 "$ROOT/dev/stdout"; ln -s fd/2 "$ROOT/dev/stderr"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts" && ln -s pts/ptmx "$ROOT/dev/ptmx" || true
"""
_TURNING = r"""
hostname build
cd "$ROOT"
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
mount -o remount,bind,ro,nosuid,nodev /
"""


def namespaces(way: Isolation, layout: Layout) -> list[str]:
    """Do the same with util-linux only. A second user namespace inside drops all capabilities again."""
    lines = [f"ROOT={shlex.quote(layout.root)}", _MOUNTING.replace("SHARED", str(SHARED_MEMORY))]
    lines += [f'ln -s {shlex.quote(target)} "$ROOT"{shlex.quote(name)}' for target, name in layout.links]
    lines += [
        f"{'rw' if mount.writable else 'ro'} {shlex.quote(mount.source)} {shlex.quote(mount.target)}"
        for mount in layout.mounts
    ]
    if not way.network:
        lines.append("ip link set lo up 2>/dev/null || true")
    lines.append(_TURNING)
    if way.user_namespace:
        lines += [
            "echo 1 > /proc/sys/user/max_user_namespaces",
            f'exec unshare --user --map-user={way.uid} --map-group={way.uid} -- setpriv --no-new-privs -- "$@"',
        ]
    else:
        lines.append(
            f"exec setpriv --reuid={way.uid} --regid={way.uid} --clear-groups --bounding-set=-all "
            '--inh-caps=-all --ambient-caps=-all --no-new-privs --pdeathsig KILL -- "$@"'
        )
    user = ["--user", "--map-root-user"] if way.user_namespace else []
    net = [] if way.network else ["--net"]
    return [
        "unshare",
        *user,
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--ipc",
        "--uts",
        "--cgroup",
        *net,
        "--fork",
        "--kill-child=KILL",
        "--",
        "sh",
        "-c",
        "\n".join(lines),
        "sh",
    ]


def inner(way: Isolation, bounds: Bounds, command: Sequence[str], mark: str = "") -> list[str]:
    """Return the part that sets limits and starts the command. If the command would be process 1, a shell stays in
    front of it: it reaps orphans, and signals keep their usual meaning for the command."""
    limits = ["--core=0", f"--fsize={bounds.file_size}"]
    if way.means != OFF and way.user_namespace and bounds.kernel >= _NPROC_PER_NAMESPACE:
        limits.append(f"--nproc={bounds.processes}")
    run = '{ "$@" </dev/null; exit $?; }' if way.means == NAMESPACES else 'exec "$@" </dev/null'
    # Let the kernel kill the build before the worker when memory runs out.
    start = f'echo 1000 > /proc/self/oom_score_adj; eval "$(cat)" && {run}'
    return ["prlimit", *limits, "--", "sh", "-c", start, word_of(mark) if mark else "sh", *command]


def start_text(environment: Mapping[str, str], folder: str) -> str:
    """Return the input of the inner shell: its folder and its environment."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([*lines, f"cd {shlex.quote(folder)}"]) + "\n"


def places_to_stage(layout: Layout) -> list[tuple[str, str]]:
    """Return (source, place in the build's folder) of what only root can reach, such as a repository in an unreadable
    folder. The place must exist, empty and of the same kind, before `chain` runs as root."""
    own = [mount.source for mount in layout.mounts if not mount.source.startswith((f"{layout.folder}/", *_OPEN))]
    return [(source, f"{layout.folder}/repository/{number}") for number, source in enumerate(own)]


def _reachable(way: Isolation, layout: Layout) -> Layout:
    """Return the layout as seen after `outer`."""
    if not way.root:
        return layout
    staged = dict(places_to_stage(layout))

    def moved(source: str) -> str:
        source = staged.get(source, source)
        return _REACHED + source.removeprefix(layout.folder) if source.startswith(layout.folder) else source

    mounts = tuple(Mount(moved(mount.source), mount.target, mount.writable) for mount in layout.mounts)
    return Layout(_REACHED, mounts, layout.links)
