"""The sandbox against hostile commands, by each means, for a worker of root's and for an unprivileged one.
As a control, each attack succeeds without a sandbox."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.network import wait_until

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
MEANS = ("bubblewrap", "namespaces")
AS_ROOT = os.geteuid() == 0
# The user of the worker.
USERS = (0, NOBODY) if AS_ROOT else (0,)
SECRET = "a-secret-of-the-worker"
every_means = pytest.mark.parametrize("means", MEANS)
every_user = pytest.mark.parametrize("uid", USERS)
pytestmark = pytest.mark.slow

_TRIES = """
cat /proc/{victim}/environ /proc/[0-9]*/environ 2>/dev/null | grep -qa {secret} && echo environment
cat {folder}/var/secret 2>/dev/null | grep -q {secret} && echo file
[ -d /proc/{victim} ] && echo processes
kill -0 {victim} 2>/dev/null && echo signal
bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo loopback
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "{folder}/var/socket") or exit 1' && echo socket
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "\\0{name}") or exit 1' && echo abstract
touch {folder}/var/written 2>/dev/null && echo written
true
"""
ALL = ["environment", "file", "processes", "signal", "loopback", "socket", "abstract", "written"]


def command(means: str, script: str, uid: int = 0, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.builds.inside", means, script, "--uid", str(uid), *more]


def tried(means: str, script: str, uid: int = 0, *more: str) -> list[str]:
    """Return the lines that a command printed in a worker of its own; a refusal is the last of them."""
    done = subprocess.run(command(means, script, uid, *more), cwd=ROOT, capture_output=True, text=True, timeout=150)
    first, *lines = done.stdout.splitlines() or [done.stderr]
    assert first == "reason: ", done.stdout + done.stderr
    return lines


@pytest.fixture
def world():
    """Yield what a worker has: a process with secrets, files, a port, sockets. All of it is open to every user."""
    folder = Path(tempfile.mkdtemp(prefix="dp-", dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / "var").mkdir()
    (folder / "var").chmod(0o777)
    (folder / "var" / "secret").write_text(SECRET)
    name = f"x{uuid.uuid4().hex}"  # not a digit: it stands behind \\0
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        for address in (f"{folder}/var/socket", f"\0{name}"):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(address)
            one.listen()
        (folder / "var" / "socket").chmod(0o777)
        yield {"folder": folder, "port": port.getsockname()[1], "name": name, "secret": SECRET}
    shutil.rmtree(folder)


@contextlib.contextmanager
def victim(uid: int):
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if AS_ROOT else []
    process = subprocess.Popen([*user, "sleep", "300"], env={"KEY": SECRET, "PATH": os.environ["PATH"]})
    try:
        time.sleep(0.2)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@every_user
@every_means
def test_isolates_the_worker(world, means, uid):
    with victim(uid) as pid:
        script = _TRIES.format(victim=pid, **world)
        assert tried(means, script, uid) == []
        assert not (world["folder"] / "var" / "written").exists()


@every_user
def test_attacks_succeed_without_a_sandbox(world, uid):
    with victim(uid) as pid:
        assert tried("off", _TRIES.format(victim=pid, **world), uid) == ALL


@every_user
@every_means
def test_builds_have_no_privileges(means, uid):
    script = """
    grep -E '^(CapInh|CapPrm|CapEff|CapAmb):' /proc/self/status | grep -v '0000000000000000$'
    grep '^NoNewPrivs:.0' /proc/self/status
    unshare --user true 2>/dev/null && echo another namespace
    mount -t tmpfs x /tmp 2>/dev/null && echo a mount
    for place in / /usr /etc /dev /home; do
        touch $place/x 2>/dev/null && echo "wrote to $place"
    done
    ls -A /proc | grep -c '^[0-9]' | grep -qE '^[0-9]$' || echo many processes
    sh -c 'echo x > /proc/sys/kernel/core_pattern' 2>/dev/null && echo "wrote to the kernel"
    env | grep -E 'SECRET|DJANGO|PYTEST'
    for place in /root /var /run /srv /mnt /sys /etc/shadow /etc/ssl/private; do [ -e $place ] && echo $place; done
    cat /dev/null && echo x > /tmp/x && echo x > ~/x && echo x > x && (echo x > /dev/shm/x) || echo own folders
    true
    """
    assert tried(means, script, uid) == []


def gone(mark: str) -> bool:
    return not running(mark)


def running(mark: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{name}/cmdline").read_bytes() and processes.alive(int(name)):
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"sleep"):
                    found.append(int(name))
    return found


@pytest.fixture
def mark():
    """Return an argument of `sleep` that no other process has."""
    text = f"4242.{uuid.uuid4().int % 10**12}"
    yield text
    for pid in running(text):
        processes.kill(pid)


@every_user
@every_means
def test_ends_all_processes_with_the_command(means, uid, mark):
    assert tried(means, f"setsid env -i sleep {mark} & sleep 0.5; echo ended", uid) == ["ended"]
    wait_until(lambda: gone(mark), 5, "what was left running being gone")


def test_processes_survive_without_a_sandbox(mark):
    assert tried("off", f"setsid env -i sleep {mark} >/dev/null 2>&1 & sleep 0.5; echo ended") == ["ended"]
    assert not gone(mark)


@pytest.mark.found("builds")
@every_user
@every_means
@pytest.mark.parametrize("network", [False, True])
def test_ends_with_a_killed_worker(means, uid, network, mark, own_tun):
    """The sandbox by itself: the guardian, which would end the build too, is killed first."""
    script = f"setsid env -i sleep {mark} & sleep {mark}"
    words = [*own_tun, *command(means, script, uid, *(["--network"] if network else []))]
    if network and not own_tun:
        pytest.skip("needs root, for a /dev/net/tun of its own that every user may open")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as worker:
        wait_until(lambda: len(running(mark)) == 2, 60, "the build")
        for pid in guardians(worker.pid):
            processes.kill(pid)
        assert len(running(mark)) == 2
        worker.kill()
    wait_until(lambda: gone(mark), 5, "the build being gone")


def guardians(worker: int) -> list[int]:
    """Return the guardian's processes: it hears of the end of its worker from a pipe, and looks at a file of its."""
    found = [pid for pid in processes.descendants(worker) if "/proc/self/fd/" in processes.command_line(pid)]
    assert found, "no guardian"
    return found


@pytest.mark.found("builds")
def test_ends_with_a_killed_worker_without_a_sandbox(mark):
    with subprocess.Popen(
        command("off", f"setsid sleep {mark} & sleep {mark}"), cwd=ROOT, stdout=subprocess.DEVNULL
    ) as worker:
        wait_until(lambda: len(running(mark)) == 2, 60, "the build")
        worker.kill()
    wait_until(lambda: gone(mark), 5, "the build being gone")


# --- limits -----------------------------------------------------------------------------------------------------------

EATS_MEMORY = "for n in 1 2 3 4; do perl -e '$x = \"x\" x (80 << 20); sleep 30' & done; wait; echo ate"
FORKS = "for n in $(seq 200); do sleep 20 & done; wait; echo forked"
FILLS = "for n in 1 2 3 4 5 6; do dd if=/dev/zero of={}/$n bs=1M count=10 2>/dev/null; done; sleep 3; echo filled"
HIDES = "exec 3>hidden; rm hidden; dd if=/dev/zero bs=1M count=60 >&3 2>/dev/null; sleep 3; echo hid"
LIMITED = {
    "memory": (EATS_MEMORY, ("--memory", str(200 << 20)), "of memory"),
    "processes": (FORKS, ("--processes", "60"), "BUILD_PROCESSES"),
    "disk": (FILLS.format("."), ("--disk", str(30 << 20)), "of disk"),
    "the disk by /tmp": (FILLS.format("/tmp"), ("--disk", str(30 << 20)), "of disk"),
    "the disk by a closed folder": (
        f"mkdir c; cd c; {FILLS.format('.')}".replace("sleep 3", "chmod 0 ../c; sleep 3"),
        ("--disk", str(30 << 20)),
        "of disk",
    ),
    "the disk by files without a name": (HIDES, ("--disk", str(30 << 20)), "of disk"),
    "time": ("sleep 30; echo slept", ("--seconds", "3"), "longer than 3 s"),
}


@every_user
@every_means
@pytest.mark.parametrize("what", LIMITED)
def test_enforces_limits(means, uid, what):
    script, limits, reason = LIMITED[what]
    assert reason in tried(means, script, uid, *limits)[-1]


def test_allows_use_within_limits():
    """The control: each of them works where there is room for it, and programs that only reserve memory work always."""
    script = "\n".join(
        [EATS_MEMORY.replace("sleep 30", "sleep 1"), FORKS.replace("sleep 20", "sleep 1"), FILLS.format("."), HIDES]
    )
    assert tried("bubblewrap", script) == ["ate", "forked", "filled", "hid"]
    reserve = "perl -e 'require \"syscall.ph\"' 2>/dev/null; sh -c 'ulimit -v' ; sh -c 'ulimit -c'"
    assert tried("bubblewrap", reserve, 0, "--memory", str(100 << 20)) == ["unlimited", "0"]


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_tun() -> list[str]:
    """In front of a command: a /dev/net/tun that every user may open, as machines with udev have it."""
    if not AS_ROOT:
        return []
    script = 'mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh"]


_MACHINES = r"""
set -e
ip link set lo up
unshare --net sleep 120 & other=$! there= here=
trap 'kill $other $there $here' EXIT
sleep 0.3
ip link add inside type veth peer name outside netns $other
ip addr add 192.0.2.10/24 dev inside; ip link set inside up; ip route add default via 192.0.2.20
ip link add second type veth peer name third; ip addr add 172.17.0.1/16 dev second; ip link set second up
nsenter --net=/proc/$other/ns/net sh -c '
    ip link set lo up; ip addr add 192.0.2.20/24 dev outside; ip link set outside up'
serve='import socket, sys
for port in map(int, sys.argv[1:]): s = socket.create_server(("0.0.0.0", port)); globals()[f"s{port}"] = s
import time; time.sleep(120)'
nsenter --net=/proc/$other/ns/net python3 -c "$serve" 7001 & there=$!
python3 -c "$serve" 7001 & here=$!
sleep 0.7
"$@"
"""


@pytest.mark.skipif(not AS_ROOT, reason="two machines are made of network namespaces, which needs root")
@every_user
@every_means
def test_network_excludes_the_machine(means, uid, own_tun):
    """The worker's machine has a second address; `outside` is another machine. Both listen on the same port."""
    reach = (
        "".join(
            f"timeout 3 bash -c 'exec 3<>/dev/tcp/{one}/7001' 2>/dev/null && echo {one}\n"
            for one in ("192.0.2.20", "127.0.0.1", "192.0.2.10", "172.17.0.1", "169.254.169.254", "0.0.0.0")
        )
        + "true"
    )
    machines = [*own_tun, "unshare", "--net", "--", "bash", "-c", _MACHINES, "bash"]

    def reached(*words: str) -> list[str]:
        done = subprocess.run(
            [*machines, *command(*words[:2], uid, *words[2:])], cwd=ROOT, capture_output=True, text=True, timeout=150
        )
        first, *lines = done.stdout.splitlines() or [done.stderr]
        assert first == "reason: ", done.stdout + done.stderr
        return lines

    assert reached(means, reach, "--network") == ["192.0.2.20"]
    assert reached(means, reach) == []
    if means == MEANS[0]:
        assert reached("off", reach) == ["192.0.2.20", "127.0.0.1", "192.0.2.10", "172.17.0.1", "0.0.0.0"]
