"""The text that goes to a host, without a host."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine import program
from deployer.engine.atom import Atom, Step, StepKind
from deployer.engine.program import Run, quote

ATOM = Atom(
    action="upgrade",
    directory="/srv/it's/shop",
    old="v1",
    new="v2",
    steps=(Step("stop", StepKind.STOP, "stop it", command="echo 'a'\necho b", undo="start"),),
    environment={"TAG": "$(x)"},
    sha256="ab" * 32,
    size=7,
)


def test_command_is_one_line_for_any_login_shell():
    plain = program.command(123, sudo=False)
    assert plain == "exec sh -c 'PROGRAM=$(dd bs=123 count=1 iflag=fullblock 2>&-); eval \"$PROGRAM\"'"
    assert program.command(9, sudo=True).startswith("exec sudo -n sh -c 'PROGRAM=$(dd bs=9 ")
    assert "\n" not in plain and "!" not in plain and plain.count("'") == 2


def test_start_program_layout():
    text = program.start(Run(7, 3, ATOM, "abc"), now=12.345).decode()
    first, rest = text.split("\n", 1)
    assert first == "_MODE=start _NONCE=abc _OP=7 _FENCE=3 _NOW=1234 _DIR='/srv/it'\\''s/shop' _FROM=0"
    assert rest.endswith(program.body())
    assert rest.removesuffix(program.body()).splitlines() == [
        "_OLD='v1'",
        "_NEW='v2'",
        "_ENV='export TAG='\\''$(x)'\\''",
        "'",
        f"_SHA='{'ab' * 32}'",
        "_SIZE='7'",
        "_KEEP='3'",
        "_STEPS='1'",
        "_STEP_TIMEOUT='600'",
        "_IDLE_TIMEOUT='0'",
        "_OUTPUT_HEAD='8388608'",
        "_OUTPUT_TAIL='262144'",
        "_CHECK_PASSES='1'",
        "_DISK_RESERVE='0'",
        "_kind0='stop'",
        "_name0='stop'",
        "_run0='echo '\\''a'\\''",
        "echo b'",
        "_undo0='start'",
        "_check0=''",
        "_undoable0='yes'",
        "_acts0='v2'",
        "_undo_acts0='v1'",
        "_timeout0='600'",
        "_undo_check0=''",
        "_undo_timeout0='0'",
    ]


def test_attach_program_omits_commands_and_environment():
    text = program.attach(Run(7, 4, ATOM, "abc"), 5, 600, cancel=True, now=1).decode()
    first = "_MODE=attach _NONCE=abc _OP=7 _FENCE=4 _NOW=100 _DIR='/srv/it'\\''s/shop' _SEEN=5 _FROM=600 _CANCEL=1\n"
    assert text == first + program.body()


def test_runner_is_small_and_without_comments():
    body = program.body()
    assert len(body) < 42_000
    assert not [line for line in body.splitlines() if line.startswith("#") or not line]
    assert body.endswith("\n_main\n")


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_shell_parses_runner(shell):
    done = subprocess.run([*shell, "-n"], input=program.body().encode(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_runner_names_start_with_underscore():
    names = [line.split("(")[0] for line in program.body().splitlines() if line.endswith("() {")]
    assert names and all(name.startswith("_") for name in names)
    assert len(names) == len(set(names))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_quote_round_trip(value):
    done = subprocess.run(["dash", "-c", f"printf %s {quote(value)}"], capture_output=True)
    assert done.stdout == value.encode()


@pytest.mark.parametrize(
    "bad",
    [
        lambda: quote("a\0b"),
        lambda: program.start(Run(1, 1, ATOM, "bad nonce")),
        lambda: program.start(Run(1, 1, Atom("upgrade", "/a\nb", "v1", "v2", ()), "n")),
        lambda: program.start(Run(1, 1, Atom("upgrade", "/a", "1", "2", (), environment={"A": "x" * 200_000}), "n")),
    ],
)
def test_rejects_values_no_shell_takes(bad):
    with pytest.raises(ValueError):
        bad()
