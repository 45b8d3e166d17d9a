"""The sandbox's command lines, as exact texts, and control groups in folders as each version has them."""

from pathlib import Path

import pytest

from builds.sandbox import cgroups, commands
from builds.sandbox.commands import Bounds, Isolation
from builds.sandbox.layout import Layout, Mount

FOLDER = "/tmp/deployer-build-x"
SEEN = Layout(
    FOLDER,
    (Mount("/usr", "/usr"), Mount("/srv/repo", "/srv/repo"), Mount(f"{FOLDER}/work", "/build", True)),
    (("usr/bin", "/bin"),),
)
BOUNDS = Bounds(42, 1000, 50, (6, 1))


def text(way: Isolation, bounds: Bounds = BOUNDS) -> str:
    return " ".join(commands.chain(way, SEEN, bounds, ["make", "all"]))


def test_bubblewrap_without_privileges():
    assert text(Isolation("bubblewrap")) == (
        'setpriv --pdeathsig KILL -- sh -c [ "$PPID" = "$1" ] && shift && exec "$@" sh 42 '
        "bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net --unshare-cgroup-try "
        "--disable-userns --die-with-parent --new-session --uid 1000 --gid 1000 --hostname build "
        "--symlink usr/bin /bin "
        f"--ro-bind /usr /usr --ro-bind /srv/repo /srv/repo --bind {FOLDER}/work /build --proc /proc --dev /dev "
        "--size 67108864 --tmpfs /dev/shm --remount-ro /dev --remount-ro / --chdir / -- "
        "prlimit --core=0 --fsize=1000 --nproc=50 -- sh -c echo 1000 > /proc/self/oom_score_adj; "
        'eval "$(cat)" && exec "$@" </dev/null sh make all'
    )


def test_root_drops_to_another_user():
    command = text(
        Isolation("bubblewrap", network=True, root=True), Bounds(42, 1000, 50, (6, 1), ("/g/a",), ("192.0.2.9",))
    )
    assert command.startswith(
        "unshare --mount --propagation private -- sh -c set -e\necho 0 > /g/a/cgroup.procs\n"
        f"mount --rbind /srv/repo {FOLDER}/repository/0\nmount --rbind {FOLDER} /tmp\n"
    )
    assert "setpriv --reuid=2000000000 --regid=2000000000 --clear-groups --pdeathsig KILL -- " in command
    assert "--no-map-gw --dns-forward 198.18.0.53 -t none -u none -T none -U none -- " in command
    assert "route add blackhole 192.0.2.9\n" in command and "route add blackhole 169.254.0.0/16\n" in command
    assert "--ro-bind /tmp/repository/0 /srv/repo --bind /tmp/work /build" in command and "--unshare-net" not in command


def test_namespaces_are_removed():
    command = text(Isolation("namespaces"))
    assert "unshare --user --map-root-user --mount --propagation private --pid --ipc --uts --cgroup --net" in command
    assert "echo 1 > /proc/sys/user/max_user_namespaces\nexec unshare --user --map-user=1000" in command
    alone = text(Isolation("namespaces", root=True, user_namespace=False))
    assert "--bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs --pdeathsig KILL" in alone
    assert "--nproc" not in alone  # it would count the processes of other builds


@pytest.mark.parametrize("way", [Isolation("bubblewrap", True, True), Isolation("namespaces"), Isolation("off")])
def test_command_lines_hold_no_environment_values(way):
    assert "s3cret" not in text(way)
    assert commands.start_text({"KEY": "s3cret 'x"}, "/build") == "export KEY='s3cret '\"'\"'x'\ncd /build\n"


def test_cgroup_v2_delegates_controllers(tmp_path: Path, monkeypatch):
    own, proc = tmp_path / "unit", tmp_path / "proc"
    for folder in (own, own / "deployer-worker", proc):
        folder.mkdir(parents=True)
    (proc / "cgroup").write_text("0::/unit\n")
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    (own / "cgroup.controllers").write_text("cpu memory pids")
    (own / "cgroup.procs").write_text("77\n")
    monkeypatch.setattr(cgroups, "_all_ours", lambda pids: pids == ["77"])
    base = cgroups._second(tmp_path, proc)
    assert base == cgroups.Base(2, (str(own),), str(own))
    assert (own / "deployer-worker" / "cgroup.procs").read_text() == "77"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"
    group = cgroups.make(base, 1 << 20, 10)
    limits = {path.name: path.read_text() for path in Path(group.memory).iterdir()}
    assert limits == {"memory.max": "1048576", "pids.max": "42", "memory.swap.max": "0", "memory.oom.group": "1"}
    monkeypatch.setattr(cgroups, "_all_ours", lambda pids: False)
    assert cgroups._second(tmp_path, proc) is None
