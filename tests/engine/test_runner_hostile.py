"""Values that would like to be shell text, and packages that would like to be elsewhere."""
import io
import tarfile

import pytest

from deployer.engine import program
from deployer.engine.atom import Target
from deployer.engine.journal import Kind, Result
from deployer.engine.plans import plan
from deployer.engine.program import Run

from .host import Host

NASTY = [
    "$(touch $CANARY)", "`touch $CANARY`", "'; touch $CANARY; '", '"; touch $CANARY; "', "a\nb\ntouch $CANARY\n",
    "-rf", "--help", "*", "~", "a\tb", "\\", "\\'", "$'x'", "%s%n", "!!",
    "Ünïcödé → 漢字", "", " ", "&& false", "|| true",
    "#",
]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_values_reach_the_commands_unchanged_and_are_never_run(tmp_path, shell):
    host = Host(tmp_path, shell)
    canary = tmp_path / "canary"
    environment = {f"V{number}": value for number, value in enumerate(NASTY)} | {"CANARY": str(canary)}
    show = f'for each in {" ".join(f"V{number}" for number in range(len(NASTY)))}; do ' \
           f'eval "printf \'%s\\0\' \\"\\$$each\\""; done >{tmp_path}/seen'
    call = host.carry_out("install", None, "v1", environment=environment, start=show, check="")
    assert call.end.result is Result.DONE, (call.events, call.output)
    assert (tmp_path / "seen").read_bytes().decode().split("\0")[:-1] == NASTY
    assert not canary.exists()


@pytest.mark.parametrize("value", [value for value in NASTY if "\n" not in value])
def test_tags_hosts_and_folders_are_data(tmp_path, value):
    host = Host(tmp_path)
    host.base = tmp_path / f"base {value}x"
    host.folder = host.base / "shop"
    canary = tmp_path / "canary"
    spec = host.spec(start='printf %s "$TAG|$HOST|$RELEASE|$CURRENT|$SHARED" >"$RELEASE/../../said"', check="", stop="",
                     environment={"CANARY": str(canary)})
    target = Target(value, "127.0.0.1", str(host.base), tag=value)
    run = host.run("install", None, "v1")
    atom = plan(spec, target, "install", None, "v1", sha256=run.atom.sha256)
    call = host.start(Run(run.operation, run.fence, atom, "nonce")).over()
    assert call.end.result is Result.DONE, (call.events, call.output, call.noise)
    folder = host.folder
    assert (folder / "said").read_text() == f"{value}|{value}|{folder}/releases/v1|{folder}/current|{folder}/shared"
    assert not canary.exists()


def test_what_commands_print_cannot_pass_for_an_event(running):
    end = "99 1 end - - -\\tdone\\t0\\t\\n"
    forged = f"printf '@%s {end}' n1 n2 n3 n4 >&2; printf '{end}'; false"
    call = running.carry_out("upgrade", "v1", "v2", pre=forged)
    assert call.end.result is Result.UNDONE
    assert max(event.seq for event in call.events) < 99


def test_last_words_with_tabs_and_control_characters_stay_one_event(running):
    call = running.carry_out("upgrade", "v1", "v2", pre="printf 'bad\\tthing\\001\\033[31m happened'; exit 9")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert failed.detail == "exit status 9: bad thing [31m happened"


def test_commands_see_what_they_act_on(running):
    show = 'echo "$0|$#|$SERVICE|$VERSION|$OTHER_VERSION|$HOST|$PORT|$TAG|$WEIGHT|$PWD"'
    rm = f"rm {running.root}/running"
    call = running.carry_out(
        "upgrade", "v1", "v2", pre=show, stop=f"{show}; {rm}", post=f"{show}; false", pre_undo=show, steps=[
            {"name": "own", "before": "start", "run": show, "undo": show}
        ],
    )
    assert call.end.result is Result.UNDONE
    new = f"|0|shop|v2|v1|host-1|8080|blue|50|{running.folder}/releases/v2"
    old = f"|0|shop|v1|v2|host-1|8080|blue|50|{running.folder}/releases/v1"
    said = ["|" + line.partition("|")[2] for line in call.output.decode().splitlines() if "|" in line]
    # pre, stop, own, post; undone: start (a stop of the new one), own, pre
    assert said == [new, old, new, new, new, old, old]


def test_commands_get_an_ordinary_shell(running):
    show = 'umask; echo "$-" | tr -d "\\n" | grep -c u; read -r line; echo "input $?"; ls /proc/self/fd | tr "\\n" " "'
    call = running.carry_out("upgrade", "v1", "v2", start=f"{show}; printf $VERSION >{running.root}/running")
    said = call.output.decode().splitlines()
    assert said[:3] == ["0022", "0", "input 1"]
    assert set(said[3].split()) <= {"0", "1", "2", "3"}, "the last one is ls's own"


def test_commands_with_names_of_the_runners_own_functions_are_commands(running):
    call = running.carry_out("upgrade", "v1", "v2", pre="type start stop link event main step; true")
    assert call.end.result is Result.DONE
    assert b"function" not in call.output


def test_a_command_with_broken_syntax_fails_like_any_other(any_host):
    assert any_host.carry_out("install", None, "v1").end.result is Result.DONE
    for broken in ("if then", "echo 'never closed", "exit 3"):
        call = any_host.carry_out("upgrade", "v1", "v2", pre=broken)
        assert call.end.result is Result.UNDONE, broken
    assert any_host.running == "v1"


def test_a_package_as_somebody_elses_is_unpacked_as_our_own(host):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("./version")
        info.size, info.uid, info.gid, info.mode = 2, 12345, 12345, 0o644
        tar.addfile(info, io.BytesIO(b"v1"))
    host.packages["v1"] = buffer.getvalue()
    assert host.carry_out("install", None, "v1").end.result is Result.DONE
    status = (host.folder / "releases/v1/version").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (host.root.stat().st_uid, 0o644)


def test_every_byte_of_the_text_is_ascii_or_the_administrators():
    assert program.body().isascii()
