"""The commands of container services: what an engine's client is called with, whatever stands in the fields."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from microservice.catalog.container_commands import commands, word
from microservice.catalog.containers import VARIABLES, Container, errors

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "registry.example/team/shop@sha256:" + "1a" * 32
SEEN = {
    "SERVICE": "shop+eu",
    "INSTANCE": "7",
    "VERSION": "1.0+a",
    "IMAGE": IMAGE,
    "PORT": "8080",
    "SHARED": "/srv/it's $HOME/shop+eu/shared",
    "CURRENT": "/srv/it's $HOME/shop+eu/current",
}
# Writes its arguments, each ended by NUL, and answers as a client that knows nothing, or what ANSWER says.
CLIENT = """#!/bin/sh
printf 'docker\\0' >>"$CALLS"
for each; do printf '%s\\0' "$each" >>"$CALLS"; done
case $1 in ps) printf %s "${ANSWER-}" ;; esac
"""
HOSTILE = [
    "$(touch made)",
    "`touch made`",
    "'; touch made; '",
    '"; touch made; "',
    "a b\\",
    "*",
    "&& x",
    "| x",
    "#",
    "é\u2028",
    "$$",
    "$$(x)",
]
SHELLS = [
    pytest.param(["dash"], id="dash"),
    pytest.param(["busybox", "sh"], id="busybox"),
    pytest.param(["bash", "--posix"], id="bash"),
]


@pytest.fixture(params=SHELLS)
def call(request, tmp_path):
    """Run a command with a client that only notes its calls; return these calls."""
    if not shutil.which(request.param[0]):
        pytest.skip(f"{request.param[0]} is not installed")
    tools, work, calls = tmp_path / "tools", tmp_path / "work", tmp_path / "calls"
    tools.mkdir()
    work.mkdir()
    (tools / "docker").write_text(CLIENT)
    (tools / "docker").chmod(0o755)

    def run(text: str, status: int | None = 0, **more: str) -> list[list[str]]:
        calls.write_text("")
        known = {"PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(calls), **SEEN, **more}
        done = subprocess.run([*request.param, "-c", text], cwd=work, env=known, capture_output=True, text=True)
        assert done.returncode == status or (status is None and done.returncode), done.stdout + done.stderr
        assert not list(work.iterdir()), "a value ran as a command"
        return [each.split("\0")[:-1] for each in calls.read_text().split("docker\0")[1:]]

    return run


def test_run_has_every_value_as_one_argument(call, tmp_path):
    shared = str(tmp_path / "it's $HOME" / "shared")
    container = Container(
        publish=("$PORT:80", "127.0.0.1:9000-9001:9000-9001/udp", "[::1]:53:53"),
        volumes=("${SHARED}/a b:/data", "/etc/it's:/etc/x:ro,z", "cache:/cache"),
        variables=("DB_PASSWORD", "VERSION"),
        restart="on-failure",
        memory="512m",
        cpus="1.5",
        options=("--read-only", "--label=of=${SERVICE}_x"),
        arguments=("--serve", "$$PORT is $PORT"),
    )
    assert errors(container, {"DB_PASSWORD"}) == []
    made = commands(container)
    _asked, run = call(made["start_command"], SHARED=shared)
    folder = "/srv/it's $HOME/shop+eu"
    assert run == [
        "run", "--detach", "--name", "shop-eu-7",
        "--label", f"deployer.folder={folder}", "--label", "deployer.instance=7", "--label", "deployer.version=1.0+a",
        "--restart", "on-failure", "--memory", "512m", "--cpus", "1.5",
        "--publish", "8080:80", "--publish", "127.0.0.1:9000-9001:9000-9001/udp", "--publish", "[::1]:53:53",
        "--volume", f"{shared}/a b:/data", "--volume", "/etc/it's:/etc/x:ro,z", "--volume", "cache:/cache",
        "--env", "DB_PASSWORD", "--env", "VERSION",
        "--read-only", "--label=of=shop+eu_x",
        IMAGE, "--serve", "$PORT is 8080",
    ]  # fmt: skip
    assert (tmp_path / "it's $HOME" / "shared" / "a b").is_dir()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_becomes_shell_text(call, text):
    literal = text.replace("$$", "$")
    text = text if "$$" in text else text.replace("$", "$$")
    container = Container(
        volumes=(f"/{text}:/{text}",),
        options=(f"--label=x={text}",),
        arguments=(text, f"${{PORT}}{text}${{PORT}}0"),
        check="command",
        check_value=text,
    )
    assert errors(container) == []
    made = commands(container)
    run = call(made["start_command"])[1]
    assert run[run.index("--volume") + 1] == f"/{literal}:/{literal}"
    assert run[-4:] == [f"--label=x={literal}", IMAGE, literal, f"8080{literal}80800"]
    inside = call(made["check_command"], ANSWER="c1 Up 5 minutes")[-1]
    assert inside == ["exec", "c1", "sh", "-c", text]


def test_another_engine_takes_the_same_commands():
    for check, value in (("running", ""), ("port", "80"), ("command", "true")):
        usual, other = (commands(Container(engine=one, check=check, check_value=value)) for one in ("docker", "podman"))
        assert other == {name: text.replace("docker", "podman") for name, text in usual.items()}


def test_only_own_containers_are_named(call):
    made = commands(Container(stop_seconds=3))
    own = ["--filter", f"label=deployer.folder={SEEN['CURRENT'].removesuffix('/current')}"]
    own += ["--filter", "label=deployer.instance=7"]
    for text in (made["start_command"], made["stop_command"]):
        asked, *others = call(text, ANSWER="c1\nc2\n")
        assert asked == ["ps", "--all", "--quiet", *own]
        assert [each[-1] for each in others if each[0] == "rm"] == ["c1", "c2"]
        assert [each[:3] for each in others if each[0] == "stop"] == [["stop", "--time", "3"]] * 2
        assert not [each for each in others if each[0] == "rm" and "shop-eu-7" in each]
    assert len(call(made["stop_command"])) == 1, "nothing is there, so nothing is done"


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        ("Up Less than a second", False),
        ("Up 1 second", False),
        ("Up 2 seconds ago", False),
        ("Up 3 seconds", True),
        ("Up 10 seconds", True),
        ("Up 5 minutes (healthy)", True),
        ("Up 5 minutes (unhealthy)", False),
        ("Up 5 seconds (health: starting)", False),
        ("Up 5 seconds ago (starting)", False),
        ("Up 2 hours (Paused)", False),
        ("Restarting (1) Less than a second ago", False),
        ("Exited (1) 3 seconds ago", False),
        ("Created", False),
        ("", False),
    ],
)
def test_a_container_must_stay_up(call, status, passes):
    answer = f"c1 {status}\n" if status else ""
    call(commands(Container())["check_command"], status=0 if passes else 1, ANSWER=answer)


def test_a_version_without_an_image_is_not_started(call):
    assert call(commands(Container())["start_command"], status=None, IMAGE="") == []


WRONG = [
    ({"publish": ("80",)}, "container_publish"),
    ({"publish": ("0:80",)}, "container_publish"),
    ({"publish": ("080:80",)}, "container_publish"),
    ({"publish": ("$PORT:80/http",)}, "container_publish"),
    ({"publish": ("70000:80",)}, "container_publish"),
    ({"publish": ("--privileged",)}, "container_publish"),
    ({"publish": ("$HOME:80",)}, "container_dollar"),
    ({"volumes": ("/data",)}, "container_volume"),
    ({"volumes": ("../data:/data",)}, "container_volume"),
    ({"volumes": ("-v:/data",)}, "container_volume"),
    ({"volumes": ("/a:/b:ro;x",)}, "container_volume"),
    ({"volumes": ("$PASSWORD/a:/b",)}, "container_dollar"),
    ({"volumes": ("/a\n:/b",)}, "container_characters"),
    ({"variables": ("A=b",)}, "variable_name"),
    ({"variables": ("OTHER",)}, "container_variable_unknown"),
    ({"engine": "docker; x"}, "not_one_of"),
    ({"restart": "unless-stopped; x"}, "not_one_of"),
    ({"memory": "a lot"}, "container_memory"),
    ({"memory": "1g --privileged"}, "container_memory"),
    ({"cpus": "0"}, "container_cpus"),
    ({"cpus": "1,5"}, "container_cpus"),
    ({"options": ("busybox",)}, "container_option"),
    ({"options": ("--",)}, "container_option"),
    ({"options": ("-v=/:/host",)}, "container_option"),
    ({"options": ("--user",)}, "container_option_value"),
    ({"options": ("--env=PASSWORD=x",)}, "container_option_taken"),
    ({"options": ("--name=other",)}, "container_option_taken"),
    ({"options": ("--label=x=$(id)",)}, "container_dollar"),
    ({"arguments": ("",)}, "container_length"),
    ({"arguments": ("x",) * 101}, "container_lines"),
    ({"stop_seconds": -1}, "container_seconds"),
    ({"check": "ping"}, "not_one_of"),
    ({"check": "port"}, "container_check_value"),
    ({"check": "port", "check_value": "٣"}, "container_port"),
    ({"check": "port", "check_value": "65536"}, "container_port"),
    ({"check": "url", "check_value": "-o/etc/passwd"}, "container_url"),
    ({"check": "url", "check_value": "file:///etc/passwd"}, "container_url"),
    ({"check_value": "80"}, "container_check_nothing"),
]


@pytest.mark.parametrize(("fields", "code"), WRONG)
def test_wrong_values_are_refused_at_their_field(fields, code):
    found = errors(Container(**fields), known={"DB"})
    wrong = "check_value" if code == "container_check_value" else list(fields)[-1]
    assert [(error.pointer, error.reason.code) for error in found] == [(f"/{wrong}", code)]
    assert str(found[0].as_dict["reason"])


def test_words_name_only_variables_of_commands():
    assert word("a b") == "'a b'" and word("a:b/c") == "a:b/c"
    assert word("$PORT:80") == '"$PORT:80"' and word("${PORT}0") == '"${PORT}0"' and word("$$x") == '"\\$x"'
    assert "SHARED" in VARIABLES and "HOME" not in VARIABLES


@pytest.mark.parametrize(
    "container",
    [
        Container(),
        Container(check="port", check_value="$PORT", publish=("$PORT:80",)),
        Container(check="url", check_value="http://127.0.0.1:$PORT/", volumes=("$SHARED/x:/x",)),
        Container(check="command", check_value="test -e /x", options=("--init",)),
    ],
)
def test_commands_are_clean_for_shellcheck(container):
    checker = ROOT / ".venv" / "bin" / "shellcheck"
    if not checker.exists():
        pytest.skip("shellcheck is not installed")
    for text in commands(container).values():
        done = subprocess.run([checker, "-s", "sh", "-"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
