"""A service with a user of its own on the host: real users and sudo, with root or an ordinary user as login."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from deployer.engine.journal import Kind
from tests.lab import users
from tests.lab.busy import within

from .engine_stand_in import StandIn, reference
from .host import SHELLS, Host
from .words import said

pytestmark = pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-")
SECRET = "canary-7f3a"
# What the service's user is told, and what it is: kept where the test can read it.
SAY = 'printf "%s %s %s %s %s\\n" "$(id -un)" "$VERSION" "$TAG" "$DB_PASSWORD" "$(cat)" >>"$SHARED/said"; '
LOOP = "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 0.2; done' & while :; do sleep 0.2; done"


class Lab:
    """A host, its users, and how they are called: `deploys` logs in, `shop` and `other` are services' users."""

    def __init__(self, host: Host, deploys: str, shop: str, other: str):
        self.host, self.deploys, self.shop, self.other = host, deploys, shop, other

    def spec(self, **changes) -> dict:
        return {
            "run_as": self.shop,
            "environment": {"DB_PASSWORD": SECRET},
            "start": SAY,
            "stop": SAY,
            "check": "",
            **changes,
        }

    def of(self, user: str) -> list[int]:
        """Return the processes of a user."""
        uid = pwd.getpwnam(user).pw_uid
        return [
            int(each)
            for each in filter(str.isdigit, os.listdir("/proc"))
            if (status := _status(each)) and f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status
        ]

    def as_user(self, user: str, command: str) -> subprocess.CompletedProcess:
        return subprocess.run(["sudo", "-n", "-u", user, "sh", "-c", command], capture_output=True, text=True)

    def said(self) -> list[str]:
        return (self.host.folder / "shared" / "said").read_text().splitlines()


def _status(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def _lab(shell: str, by_root: bool):
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    rules = (
        "{0} ALL=({1}) NOPASSWD: ALL\n"
        f'Defaults>{{1}} secure_path="{place}/bin:/usr/bin:/bin"\n'
        f'Defaults>{{2}} secure_path="{place}/bin:/usr/bin:/bin"'
    )
    with users.made(("ssh", "shop", "other"), rules) as (deploys, shop, other):
        host = Host(place, shell)
        if not by_root:
            host.user = deploys
            host.base.mkdir()
            shutil.chown(host.base, deploys, deploys)
        lab = Lab(host, "root" if by_root else deploys, shop, other)
        try:
            yield lab
        finally:
            host.end()
            for user in (deploys, shop, other):
                for pid in lab.of(user):
                    with suppress(ProcessLookupError):
                        os.kill(pid, 9)
            shutil.rmtree(place)


PLACES = [
    pytest.param((shell, user), marks=[pytest.mark.slow] if shell != "dash" else [], id=f"{shell}-{user}")
    for shell, user in [("dash", "root"), *((shell, "plain") for shell in SHELLS)]
]


@pytest.fixture(params=PLACES)
def lab(request):
    """Every shell, deployed by a plain user; and by root."""
    yield from _lab(request.param[0], request.param[1] == "root")


@pytest.fixture
def plain():
    yield from _lab("dash", by_root=False)


@pytest.fixture
def root():
    yield from _lab("dash", by_root=True)


def shared_by(lab: Lab) -> None:
    """As an administrator prepares a host where a plain user deploys: shared/ is the service's."""
    if lab.host.user:
        for name in ("", "releases", "shared"):
            (lab.host.folder / name).mkdir(parents=True, exist_ok=True)
            shutil.chown(lab.host.folder / name, lab.deploys, lab.deploys)
        shutil.chown(lab.host.folder / "shared", lab.shop, lab.shop)


def test_commands_run_as_service_user(lab):
    shared_by(lab)
    assert lab.host.carry_out("install", None, "v1", **lab.spec()).end.result == "done"
    done = lab.host.carry_out("upgrade", "v1", "v2", **lab.spec(pre='[ "$PWD" = "$RELEASE" ] && ' + SAY))
    assert done.end.result == "done", (done.said, done.output)
    shop = lab.shop
    assert lab.said() == [f"{shop} {version} blue {SECRET} " for version in ("v1", "v2", "v1", "v2")]
    assert lab.host.current == "releases/v2"


def test_undo_runs_as_service_user(lab):
    shared_by(lab)
    lab.host.carry_out("install", None, "v1", **lab.spec())
    failed = lab.host.carry_out("upgrade", "v1", "v2", **lab.spec(post="echo no; exit 3"))
    assert (failed.end.result, lab.host.current) == ("undone", "releases/v1")
    assert [line.split()[:2] for line in lab.said()[-2:]] == [[lab.shop, "v2"], [lab.shop, "v1"]]
    assert [event.exit_status for event in failed.events if event.kind is Kind.FAILED] == [3]


@pytest.mark.parametrize("text, result", [("cancelled", "cancelled"), ("timeout", "undone")])
def test_cancel_and_timeout_end_processes_of_run_as(lab, text, result):
    """Also what ignores TERM, and what went into a session of its own: the user who deploys may signal neither."""
    shared_by(lab)
    lab.host.carry_out("install", None, "v1", **lab.spec())
    limits = {"limits": {"step_timeout": 2}} if text == "timeout" else {}
    run = lab.host.run("upgrade", "v1", "v2", **lab.spec(pre=f"echo up; {LOOP}", **limits))
    going = lab.host.start(run)
    going.until(Kind.STARTED, "pre")
    wait_until(lambda: len(lab.of(lab.shop)) >= 2)
    if text == "cancelled":
        lab.host.attach(run, cancel=True).over(30)
    going.over(30)
    assert going.end.result == result, (going.said, going.output)
    assert lab.of(lab.shop) == []
    assert lab.host.current == "releases/v1"


def test_service_of_other_user_survives_run(lab):
    """Also the cleaning of the very run that started it."""
    shared_by(lab)
    start = "setsid sh -c 'echo $$ >\"$SHARED/pid\"; exec sleep 1000' >/dev/null 2>&1 </dev/null &"
    run = lab.host.run("install", None, "v1", **lab.spec(start=start, stop="", post=LOOP))
    going = lab.host.start(run)
    going.until(Kind.STARTED, "post")
    wait_until(lambda: len(lab.of(lab.shop)) >= 3)
    lab.host.attach(run, cancel=True).over(30)
    assert going.over(30).end.result == "cancelled"
    assert lab.of(lab.shop) == [int((lab.host.folder / "shared" / "pid").read_text())]


def test_attach_undoes_dead_run_of_service_user(lab):
    shared_by(lab)
    lab.host.carry_out("install", None, "v1", **lab.spec())
    run = lab.host.run("upgrade", "v1", "v2", **lab.spec(pre=LOOP, pre_undo=SAY))
    going = lab.host.start(run)
    going.until(Kind.STARTED, "pre")
    wait_until(lambda: len(lab.of(lab.shop)) >= 2)
    going.kill()
    over = lab.host.attach(run).over(30)
    assert over.end.result == "undone", (over.said, over.noise)
    assert lab.of(lab.shop) == []
    assert lab.said()[-1].split()[:2] == [lab.shop, "v1"]


def test_environment_and_commands_are_not_in_arguments(plain):
    shared_by(plain)
    run = plain.host.run("install", None, "v1", **plain.spec(pre="sleep 1; : argument-canary"))
    going = plain.host.start(run)
    going.until(Kind.STARTED, "pre")
    wait_until(lambda: plain.of(plain.shop))
    seen = b""
    while going.process.poll() is None:
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                seen += Path(f"/proc/{each}/cmdline").read_bytes()
            except OSError:
                continue
    assert going.over().end.result == "done"
    assert b"sudo\0-n\0-u\0" + plain.shop.encode() in seen
    assert SECRET.encode() not in seen and b"argument-canary" not in seen


def test_service_user_cannot_read_run_files(lab):
    shared_by(lab)
    if lab.host.user:
        subprocess.run(["usermod", "-aG", lab.shop, lab.deploys], check=True)
        lab.host.groups = [pwd.getpwnam(lab.shop).pw_gid]
    ours = "$SHARED/../.deployer"
    look = f'cat "{ours}/runs/"*/* "{ours}/"* >"$SHARED/stolen" 2>/dev/null; cat "$RELEASE/version"'
    spec = lab.spec(private_releases=True, start=look)
    done = lab.host.carry_out("install", None, "v1", **spec)
    assert done.end.result == "done", (done.said, done.output)
    assert (lab.host.folder / "shared" / "stolen").read_text() == ""
    release = f"cat {lab.host.folder}/releases/v1/version; cat {lab.host.folder}/current/version"
    assert lab.as_user(lab.shop, release).stdout == "v1v1"
    assert lab.as_user(lab.other, release).stdout == ""
    for user in (lab.shop, lab.other):
        for place in (".deployer", ".deployer/runs", ".deployer/lock"):
            assert lab.as_user(user, f"ls {lab.host.folder}/{place}/").returncode != 0
    assert lab.host.carry_out("upgrade", "v1", "v2", **lab.spec(start=look)).end.result == "done"
    assert lab.as_user(lab.other, f"cat {lab.host.folder}/releases/v2/version").stdout == "v2"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"run_as": "nobody-of-that-name"}, "this host has no user nobody-of-that-name"),
        ({"run_as": "daemon"}, "sudo -n -u daemon does not work for the user that deploys here"),
        ({"private_releases": True}, "the releases cannot be made private"),
    ],
)
def test_unusable_user_fails_prepare(plain, what, words):
    shared_by(plain)
    plain.host.carry_out("install", None, "v1", **plain.spec())
    before = plain.said()
    refused = plain.host.carry_out("upgrade", "v1", "v2", **plain.spec(**what))
    assert refused.end.result == "undone"
    failed = next(event for event in refused.events if event.kind is Kind.FAILED)
    assert failed.step == "prepare" and words in said(failed)
    assert (plain.said(), plain.host.current) == (before, "releases/v1")


def test_names_folder_that_user_cannot_enter(root):
    root.host.folder.mkdir(parents=True)
    root.host.folder.chmod(0o700)
    refused = root.host.carry_out("install", None, "v1", **root.spec())
    failed = next(event for event in refused.events if event.kind is Kind.FAILED)
    assert said(failed) == f"the user {root.shop} cannot enter {root.host.folder}/releases"


def wait_until(true, seconds: float = 30) -> None:
    deadline = time.monotonic() + within(seconds)
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_pull_and_sign_in_are_those_of_the_user(lab):
    """Also where the runner is killed in the middle: the recovery removes what it may not even read."""
    shared_by(lab)
    for digit in (1, 2):
        lab.host.image(f"v{digit}", reference(digit))
    engine = StandIn(lab.host)
    spec = lab.spec(start=SAY + 'echo "$IMAGE" >>"$SHARED/said"', private_releases=False)
    done = lab.host.carry_out("install", None, "v1", sign_in=engine.sign_in, **spec)
    assert done.end.result == "done", (done.said, done.output)
    assert lab.said()[-1] == reference(1)
    assert engine.lines("signed_in") == [engine.sign_in]
    assert {line.split()[2] for line in engine.lines("modes")} == {lab.shop}
    assert not engine.sign_in_folders()

    engine.says("slow")
    run = lab.host.run("upgrade", "v1", "v2", sign_in=engine.sign_in, **spec)
    first = lab.host.start(run)
    wait_until((engine.folder / "pulling").exists)
    assert [folder.owner() for folder in engine.sign_in_folders()] == [lab.shop]
    first.kill()
    first.process.wait(20)
    assert lab.host.attach(run).over().end.result == "cut"
    assert not engine.sign_in_folders() and not lab.of(lab.shop)
    files = [path for path in lab.host.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert engine.secret.encode() not in b"".join(path.read_bytes() for path in files)
