"""Each action on a host: what it does, and a failure in each of its steps."""

import hashlib

import pytest

from deployer.engine.journal import Kind, Result

from .host import Host
from .words import said

HOOKS = {
    "pre": "echo pre >>$LOG",
    "pre_undo": "echo pre_undo >>$LOG",
    "post": "echo post >>$LOG",
    "post_undo": "echo post_undo >>$LOG",
    "steps": [{"name": "migrate", "before": "stop", "run": "echo migrate >>$LOG", "undo": "echo unmigrate >>$LOG"}],
}


def full(host: Host, **changes) -> dict:
    return {**HOOKS, "environment": {"LOG": str(host.log)}, **changes}


def names(call, kind) -> list[str]:
    return [event.step for event in call.events if event.kind is kind]


def test_actions_succeed_under_every_shell(any_host):
    host = any_host
    first = host.carry_out("install", None, "v1", **full(host))
    assert (first.answer, first.end.result) == (0, Result.DONE)
    assert (host.current, host.running) == ("releases/v1", "v1")
    assert names(first, Kind.DONE) == [
        "prepare",
        "upload",
        "unpack",
        "pre",
        "migrate",
        "link",
        "start",
        "check",
        "post",
        "prune",
    ]
    host.log.unlink()
    second = host.carry_out("upgrade", "v1", "v2", **full(host))
    assert second.end.result is Result.DONE
    assert host.logged == ["pre", "migrate", "v1 stop", "v2 start", "v2 check", "post"]
    assert (host.current, host.running) == ("releases/v2", "v2")
    assert [event.seq for event in second.events] == list(range(1, len(second.events) + 1))
    back = host.carry_out("revert", "v2", "v1", **full(host))
    assert back.end.result is Result.DONE and host.running == "v1"
    assert "have" in [event.kind for event in back.events]
    assert host.carry_out("delete", "v1", None, **full(host)).end.result is Result.DONE
    assert not host.running and not host.current
    assert sorted(path.name for path in host.folder.iterdir()) == [".deployer", "releases", "shared"]
    assert not list((host.folder / "releases").iterdir())


def test_adopting_changes_nothing(host):
    (host.root / "running").write_text("v1")
    adopted = host.carry_out("install", None, "v1", adopt=True, check="test $(cat ../../running) = v1")
    assert adopted.end.result is Result.DONE
    assert names(adopted, Kind.DONE) == ["prepare", "check"]
    refused = host.carry_out("install", None, "v1", adopt=True, check="false", check_timeout=1)
    assert refused.end.result is Result.UNDONE
    assert not host.current


def test_release_matches_package(running):
    release = running.folder / "releases" / "v1"
    assert sorted(path.name for path in release.iterdir()) == ["noise", "version"]
    assert (release / "version").stat().st_mode & 0o777 == 0o755
    assert release.stat().st_mode & 0o777 == 0o755
    assert (running.folder / ".deployer").stat().st_mode & 0o777 == 0o700


BROKEN = {
    "pre": {"pre": "false"},
    "migrate": {"steps": [{**HOOKS["steps"][0], "run": "exit 3"}]},
    "stop": {"stop": "false"},
    "start": {"start": 'test "$VERSION" = v1 && printf v1 >$STATE && echo "$VERSION start" >>$LOG'},
    "check": {"check": 'grep v1 "$STATE"', "check_timeout": 1},
    "post": {"post": "echo no >&2; exit 7"},
}
UNDONE = {
    "pre": [],
    "migrate": ["pre"],
    "stop": ["migrate", "pre"],
    "start": ["start", "link", "stop", "migrate", "pre"],
    "check": ["start", "link", "stop", "migrate", "pre"],
    "post": ["start", "link", "stop", "migrate", "pre"],
}


@pytest.mark.parametrize("step", BROKEN)
def test_failed_upgrade_is_undone_in_reverse(running, step):
    before = running.tree()
    environment = {"LOG": str(running.log), "STATE": str(running.root / "running")}
    call = running.carry_out("upgrade", "v1", "v2", **{**full(running), "environment": environment, **BROKEN[step]})
    assert call.end.result is Result.UNDONE, call.events
    assert names(call, Kind.FAILED) == [step]
    assert names(call, Kind.UNDONE) == UNDONE[step]
    assert running.tree("v2") == before
    assert (running.current, running.running) == ("releases/v1", "v1")
    assert (running.folder / "releases/v2/version").read_text() == "v2", "the release is kept for a second try"


def test_failure_reason_has_last_output(running):
    call = running.carry_out("upgrade", "v1", "v2", **full(running, post="echo all good; echo $TAG no >&2; exit 7"))
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.step, failed.exit_status, said(failed)) == ("post", 7, "exit status 7: blue no")
    assert b"all good\nblue no\n" in call.output


def test_journal_has_printed_bytes_of_each_step(running):
    commands = {"pre": "echo one", "pre_undo": "echo five", "start": "echo two; false", "stop": "echo three; exit 0"}
    call = running.carry_out("upgrade", "v1", "v2", **commands)
    assert call.end.result is Result.UNDONE
    said = call.output
    begun = {event.step: event.printed for event in call.events if event.kind is Kind.STARTED}
    undone = {event.step: event.printed for event in call.events if event.kind is Kind.UNDOING}
    assert said[begun["pre"] : begun["stop"]] == b"one\n"
    of_start = said[begun["start"] : min(undone.values())]
    assert of_start.startswith(b"two\n") and b"five" not in of_start
    assert said[undone["pre"] :].startswith(b"five\n")
    assert all(event.printed is None for event in call.events if event.kind not in (Kind.STARTED, Kind.UNDOING))


def test_second_attempt_sends_no_package(running):
    assert running.carry_out("upgrade", "v1", "v2", pre="false").end.result is Result.UNDONE
    call = running.start(running.run("upgrade", "v1", "v2"), b"", close=False).over()
    assert call.end.result is Result.DONE
    assert Kind.HAVE in [event.kind for event in call.events]


@pytest.mark.parametrize("step", ["link", "unpack", "unlink", "remove"])
def test_failed_runner_step_is_undone(running, step):
    before = running.tree()
    if step == "link":
        # mv refuses: what is to be replaced has become a folder at the last moment
        spoil = 'rm "$CURRENT" && mkdir "$CURRENT"'
        call = running.carry_out(
            "upgrade",
            "v1",
            "v2",
            **full(
                running,
                steps=[
                    {
                        "name": "spoil",
                        "before": "link",
                        "run": spoil,
                        "undo": 'rmdir "$CURRENT"; ln -s releases/v1 "$CURRENT"',
                    }
                ],
            ),
        )
    elif step == "unpack":
        run = running.run("upgrade", "v1", "v2")
        call = running.start(run, running.package("v3")).over()
        step = "upload"
    else:
        tool, what = {"unlink": ("rm", "*/current"), "remove": ("mv", "*/trash/*")}[step]
        path = running.tools / tool
        path.write_text(f'#!/bin/sh\ncase "$*" in {what}) exit 1;; esac\nexec /usr/bin/{tool} "$@"\n')
        path.chmod(0o755)
        call = running.carry_out("delete", "v1", None)
    assert names(call, Kind.FAILED) == [step], (call.events, call.output)
    assert call.end.result is Result.UNDONE, call.events
    assert running.tree("v2") == before
    assert running.running == "v1"


def test_package_with_other_hash_is_refused(running):
    call = running.start(running.run("upgrade", "v1", "v2"), running.package("v9")).over()
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert hashlib.sha256(running.package("v9")).hexdigest() in said(failed)
    assert call.end.result is Result.UNDONE
    assert not (running.folder / "releases/v2").exists()
    assert running.logged == []


def test_failed_undo_does_not_stop_others(running):
    call = running.carry_out(
        "upgrade",
        "v1",
        "v2",
        **full(
            running,
            post="false",
            pre_undo="echo stuck; exit 4",
            steps=[
                {"name": "once", "before": "stop", "run": "true"},
                HOOKS["steps"][0],
            ],
        ),
    )
    assert call.end.result is Result.FAILED
    assert said(call.end) == "Not undone: once pre."
    failures = {event.step: said(event) for event in call.events if event.kind is Kind.UNDO_FAILED}
    assert failures == {"once": "cannot be undone", "pre": "exit status 4: stuck"}
    assert names(call, Kind.UNDONE) == ["start", "link", "stop", "migrate"]
    assert running.running == "v1"


def test_failed_step_with_effect_is_done(running):
    flag = running.root / "flag"
    there = {"name": "flag", "before": "link", "run": f"touch {flag}; exit 5", "check": f"test -e {flag}"}
    call = running.carry_out("upgrade", "v1", "v2", steps=[there])
    assert call.end.result is Result.DONE
    done = next(event for event in call.events if event.step == "flag" and event.kind is Kind.DONE)
    assert (done.exit_status, said(done)) == (5, "exit status 5, but its check passes")


def test_successful_step_must_pass_check(running):
    liar = {"name": "liar", "before": "link", "run": "true", "check": "false"}
    call = running.carry_out("upgrade", "v1", "v2", steps=[liar])
    assert call.end.result is Result.UNDONE
    assert names(call, Kind.FAILED) == ["liar"]


def test_undo_starts_service_without_stop_command(host):
    only = {"stop": "", "start": f"cp $RELEASE/version {host.root}/running"}
    assert host.carry_out("install", None, "v1", **only).end.result is Result.DONE
    assert host.carry_out("upgrade", "v1", "v2", **only, post="false").end.result is Result.UNDONE
    assert host.running == "v1"


def test_stop_of_stopped_service_is_done(running):
    (running.root / "running").unlink()
    assert running.carry_out("upgrade", "v1", "v2").end.result is Result.DONE


def test_pruned_releases_return_with_undo(running):
    for old, new in (("v1", "v2"), ("v2", "v3")):
        assert running.carry_out("upgrade", old, new, keep_releases=2).end.result is Result.DONE
    releases = running.folder / "releases"
    assert sorted(path.name for path in releases.iterdir()) == ["v2", "v3"]
    assert not (running.folder / ".deployer/trash").exists()
    assert running.carry_out("revert", "v3", "v2", keep_releases=1).end.result is Result.DONE
    assert sorted(path.name for path in releases.iterdir()) == ["v2", "v3"], "both ends of an operation stay"


def test_check_must_pass_repeatedly(running):
    flapping = f"n=$(cat {running.root}/n); echo $((n + 1)) >{running.root}/n; test $n != 1"
    (running.root / "n").write_text("0\n")
    quiet = {"stop": "true", "start": "true"}
    call = running.carry_out("upgrade", "v1", "v2", check=flapping, limits={"check_passes": 2}, **quiet)
    assert call.end.result is Result.DONE
    assert (running.root / "n").read_text() == "4\n"
