"""Versions that are images: what commands see, the pull before the stop, the sign-in, images that go with releases."""

import hashlib
import io
import os
import time
from pathlib import Path

import pytest

from deployer.engine import program
from deployer.engine.journal import Kind, Result
from deployer.engine.package import Package
from deployer.engine.run import OutcomeKind, carry_out

from .engine_stand_in import StandIn, reference
from .host import Host
from .jump_network import Network, note
from .site import Watching
from .words import said

SEES = 'printf \'%s %s %s %s\\n\' "$VERSION" WORD "${IMAGE##*@}" "$INSTANCE" >>LOG'


def spec(host: Host, **changes) -> dict:
    """Commands that write what they see to the host's log."""
    own = {name: SEES.replace("WORD", name).replace("LOG", str(host.log)) for name in ("start", "stop", "pre", "post")}
    return {"check": "", **own, **changes}


def digest(digit: int) -> str:
    return reference(digit).partition("@")[2]


def made(host: Host) -> StandIn:
    for digit in range(1, 6):
        host.image(f"v{digit}", reference(digit))
    return StandIn(host)


@pytest.fixture
def engine(host):
    return made(host)


def failure(call):
    return next(event for event in call.events if event.kind is Kind.FAILED)


@pytest.mark.parametrize("signs_in", [False, True])
def test_commands_see_the_image_of_their_version(any_host, signs_in):
    engine = made(any_host)
    sign_in = engine.sign_in if signs_in else ""
    first = any_host.carry_out("install", None, "v1", sign_in=sign_in, **spec(any_host))
    assert first.end.result == "done", (first.events, first.output)
    assert [event.step for event in first.events if event.kind is Kind.STARTED][:4] == [
        *("prepare", "upload", "unpack", "pull")
    ]
    assert b"pulling " + reference(1).encode() in first.output
    any_host.log.unlink()
    assert any_host.carry_out("upgrade", "v1", "v2", sign_in=sign_in, **spec(any_host)).end.result == "done"
    assert any_host.logged == [
        f"v2 pre {digest(2)} 7",
        f"v1 stop {digest(1)} 7",
        f"v2 start {digest(2)} 7",
        f"v2 post {digest(2)} 7",
    ]
    assert engine.lines("signed_in") == [sign_in] * 2 * signs_in
    assert not engine.sign_in_folders()


def test_undo_acts_for_the_old_image(host, engine):
    host.carry_out("install", None, "v1", **spec(host))
    host.log.unlink()
    start = spec(host)["start"] + '; [ "$VERSION" = v1 ]'
    undone = host.carry_out("upgrade", "v1", "v2", **spec(host, start=start))
    assert undone.end.result == "undone"
    assert host.logged[-1] == f"v1 start {digest(1)} 7"


def test_a_digest_that_is_there_is_not_pulled(host, engine):
    engine.says("images", f"{reference(1)}\n")
    done = host.carry_out("install", None, "v1", sign_in=engine.sign_in, **spec(host))
    assert done.end.result == "done"
    assert engine.asked == [f"image inspect {reference(1)}"]
    pull = next(event for event in done.events if event.kind is Kind.DONE and event.step == "pull")
    assert said(pull) == "the host has it already"
    assert not engine.lines("signed_in")


def test_a_pull_that_fails_leaves_everything(host, engine):
    host.carry_out("install", None, "v1", **spec(host))
    host.log.unlink()
    before = host.tree("v2")
    engine.says("refuses", "Error response from daemon: manifest for web@sha256:2 not found: manifest unknown\n")
    undone = host.carry_out("upgrade", "v1", "v2", sign_in=engine.sign_in, **spec(host))
    assert (undone.end.result, failure(undone).step) == ("undone", "pull")
    assert "manifest unknown" in said_by(undone)
    assert (host.logged, host.tree("v2")) == ([], before), "nothing was stopped"
    assert not engine.sign_in_folders()


def said_by(call) -> str:
    from messages.rendering import english

    why = failure(call).why
    return why if isinstance(why, str) else english(why)


def test_without_an_engine_prepare_fails(host):
    engine = made(host)
    (host.tools / "docker").unlink()
    for tool in ("setsid", "sudo", *program_tools()):
        where = next(path for path in ("/usr/bin", "/bin", "/usr/sbin") if os.path.exists(f"{path}/{tool}"))
        if not (host.tools / tool).exists():
            (host.tools / tool).symlink_to(f"{where}/{tool}")
    run = host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host))
    refused = host.start(run, PATH=str(host.tools)).over()
    assert (refused.end.result, failure(refused).step) == ("undone", "prepare"), refused.events
    assert said(failure(refused)) == "neither docker nor podman is installed on the host"
    assert failure(refused).code == "not_ready"
    StandIn(host, "podman")
    run = host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host))
    assert host.start(run, PATH=str(host.tools)).over().end.result == "done"


def program_tools() -> tuple[str, ...]:
    from deployer.engine.probe import TOOLS

    return (*TOOLS, "df", "id", "chown", "chgrp", "touch", "grep")


def test_podman_where_the_commands_name_it(host, engine):
    (host.tools / "podman").write_text((host.tools / "docker").read_text().replace('"$*"', '"podman $*"'))
    (host.tools / "podman").chmod(0o755)
    host.carry_out("install", None, "v1", **spec(host, start=f": podman run; {spec(host)['start']}"))
    assert engine.asked[:2] == [f"podman image inspect {reference(1)}", f"podman pull {reference(1)}"]


# --- the sign-in


def everything_below(folder: Path) -> bytes:
    found = b""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.parent.name != "engine":
            found += path.read_bytes()
    return found


def seen_of_processes() -> bytes:
    """Arguments and environments of every process but this one."""
    found = b""
    for each in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                found += Path(f"/proc/{each}/{name}").read_bytes() if int(each) != os.getpid() else b""
            except OSError:
                continue
    return found


def wait_until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize("session", [True, False])
def test_sign_in_is_nowhere_but_in_its_folder(host, engine, session):
    engine.says("slow")
    run = host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host))
    call = host.start(run, session=session)
    wait_until((engine.folder / "pulling").exists)
    assert [path.parent.name for path in engine.sign_in_folders()] == ["shm"]
    seen, kept = seen_of_processes(), everything_below(host.folder)
    assert b"_kind3='pull'" in kept, "the program is kept"
    assert engine.secret.encode() not in seen + kept
    modes = [line.split()[0][:10] for line in engine.lines("modes")]
    assert modes == ["drwx------", "-rw-------"]
    host.attach(run, cancel=True).over()
    assert call.over().end.result is Result.CANCELLED
    assert not engine.sign_in_folders()
    assert engine.secret.encode() not in everything_below(host.folder) + call.output


def test_sign_in_is_gone_after_a_timeout(host, engine):
    engine.says("slow")
    call = host.start(host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host, limits={"step_timeout": 1})))
    assert call.over().end.result == "undone"
    assert (failure(call).step, failure(call).code) == ("pull", "timeout")
    assert not engine.sign_in_folders()


def test_runner_killed_in_a_pull_pulls_again(host, engine):
    """SIGKILL leaves the folder; the recovery finds it by its mark, and the run starts again from the beginning."""
    host.carry_out("install", None, "v1", **spec(host))
    host.log.unlink()
    engine.says("slow")
    run = host.run("upgrade", "v1", "v2", sign_in=engine.sign_in, **spec(host))
    first = host.start(run)
    wait_until((engine.folder / "pulling").exists)
    first.kill()
    first.process.wait(20)
    assert engine.sign_in_folders()
    (engine.folder / "slow").unlink()
    assert host.attach(run).over().end.result is Result.CUT
    assert not engine.sign_in_folders() and not host.processes(first.process.pid)
    assert host.logged == []
    again = program.Run(run.operation, host.fence, run.atom, "again", sign_in=engine.sign_in)
    assert host.start(again).over().end.result is Result.DONE
    assert not engine.sign_in_folders()


@pytest.mark.slow
@pytest.mark.parametrize("sudo", [False, True])
def test_behind_a_jump_host_that_keeps_packages(tmp_path, sudo):
    """The sign-in comes first, then where to fetch the package; under sudo the program gets a process of its own."""
    (bin := tmp_path / "bin").mkdir()
    (bin / "sudo").write_text('#!/bin/sh\nshift\nenv -i PATH="$PATH" "$@"\n')
    (bin / "sudo").chmod(0o755)
    with Network(tmp_path, 1, tools=f"{bin}:{os.environ['PATH']}") as network:
        [host] = network.hosts
        engine = made(host)
        own = {"PATH": f"{host.tools}:{os.environ['PATH']}"}
        run = host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host, environment=own))
        data = host.packages["v1"]
        package = Package(hashlib.sha256(data).hexdigest(), len(data), lambda: io.BytesIO(data))
        watch = Watching()
        outcome = carry_out(run, network.endpoint(0), sudo, package, watch, fresh=True)
        assert outcome.kind is OutcomeKind.DONE, (outcome, watch.data)
        assert note(watch) == "fetched from the jump host"
        assert engine.lines("signed_in") == [engine.sign_in] and not engine.sign_in_folders()
        assert engine.secret.encode() not in everything_below(host.folder)


def test_cut_before_the_sign_in_did_nothing(host, engine):
    run = host.run("install", None, "v1", sign_in=engine.sign_in, **spec(host))
    cut = host.send(program.start(run), run.nonce, program.sign_in(run)[:9]).over()
    assert cut.events == [] and not host.folder.exists()


def test_command_does_not_see_the_sign_in(host, engine):
    stolen = host.root / "stolen"
    call = host.carry_out(
        "install", None, "v1", sign_in=engine.sign_in, **spec(host, pre=f"set >{stolen}; env >>{stolen}")
    )
    assert call.end.result == "done"
    assert engine.secret not in stolen.read_text()


# --- images that go with their releases


def upgraded(host: Host, *versions: str, **changes) -> None:
    old = None
    for version in versions:
        done = host.carry_out("upgrade" if old else "install", old, version, **spec(host, keep_releases=2, **changes))
        assert done.end.result == "done", (done.events, done.output)
        old = version


def removed(engine: StandIn) -> list[str]:
    return [line for line in engine.asked if line.startswith("image rm")]


def test_removed_release_takes_its_image(host, engine):
    upgraded(host, "v1", "v2", "v3")
    assert removed(engine) == [f"image rm {reference(1)}"], "by its digest, and never forced"
    assert engine.images == [reference(2), reference(3)]
    assert not (host.folder / ".deployer" / "trash").exists()


def test_delete_removes_the_images(host, engine):
    upgraded(host, "v1", "v2")
    assert host.carry_out("delete", "v2", None, **spec(host)).end.result == "done"
    assert engine.images == []
    assert host.logged[-2].startswith(f"v2 stop {digest(2)}")


def test_image_of_another_release_stays(host, engine):
    """One that is kept under another version, or by a service beside this one."""
    host.image("v3", reference(1))
    beside = host.base / "other" / "releases" / "9"
    beside.mkdir(parents=True)
    (beside / "image").write_text(f"{reference(2)}\n")
    upgraded(host, "v1", "v2", "v3", "v4")
    assert removed(engine) == []
    (beside / "image").unlink()
    upgraded_again = host.carry_out("upgrade", "v4", "v5", **spec(host, keep_releases=2))
    assert upgraded_again.end.result == "done"
    assert removed(engine) == [f"image rm {reference(1)}"]


def test_image_of_a_container_stays(host, engine):
    engine.says("used", "4f9d\n")
    upgraded(host, "v1", "v2", "v3")
    assert removed(engine) == [] and engine.images[0] == reference(1)


@pytest.mark.parametrize(
    "text",
    [
        "$(touch /tmp/x)@sha256:" + "0" * 64,
        "--force@sha256:" + "0" * 64,
        "web:latest",
        "web@sha256:" + "0" * 63,
        f"{reference(4)}\n{reference(5)}",
        f"{reference(4)} {reference(5)}",
    ],
    ids=["command", "option", "tag", "short", "lines", "words"],
)
def test_package_that_names_no_image_removes_none(host, engine, text):
    upgraded(host, "v1", "v2")
    (host.folder / "releases" / "v1" / "image").write_text(text)
    assert host.carry_out("upgrade", "v2", "v3", **spec(host, keep_releases=2)).end.result == "done"
    assert removed(engine) == []


def test_engine_that_hangs_holds_no_end(host, engine):
    engine.says("dead")
    upgraded(host, "v1", "v2")
    call = host.start(host.run("upgrade", "v2", "v3", **spec(host, keep_releases=2)))
    call.until(Kind.END)
    began = time.monotonic()
    call.over(30)
    assert 5 < time.monotonic() - began < 25
    assert not host.processes(call.process.pid)
    done = host.carry_out("upgrade", "v3", "v4", **spec(host, keep_releases=9))
    assert done.end.result == "done"


def test_service_without_images_is_as_before(host):
    run = host.run("install", None, "v1")
    text = program.start(run).decode()
    assert "_NEW_IMAGE=" not in text and "_do_pull" not in text
    shown = host.root / "shown"
    host.carry_out("install", None, "v1", **spec(host, start=f'echo "$INSTANCE ${{IMAGE-unset}}" >{shown}'))
    assert shown.read_text() == "7 unset\n"


def test_own_names_of_before_are_kept(host):
    """A service that was saved with these names, and has no image."""
    shown = host.root / "shown"
    own = {"IMAGE": "mine:1", "INSTANCE": "blue"}
    step = {"name": "pull", "before": "stop", "run": ":"}
    done = host.carry_out(
        "install", None, "v1", **spec(host, environment=own, steps=[step], start=f'echo "$INSTANCE $IMAGE" >{shown}')
    )
    assert done.end.result == "done" and shown.read_text() == "blue mine:1\n"
