"""Build, push, pull and look, at a real engine; and what an engine may do in the middle of it."""

import base64
import json
import threading
import time

import pytest

from access.secrets import Secret
from integrations.docker import containers, images, sign_in
from integrations.docker import engine as engines
from integrations.docker.errors import EngineAway, EngineRefused, GivenUp, StepFailed
from integrations.docker.images import BuildOptions
from integrations.docker.target import Interrupt
from tests.lab import docker
from tests.lab.busy import within
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import wait_until

from .doors import answer, cut_short, door, silent, version
from .parts import context, part, secure


@pytest.fixture
def engine(docker_engine):
    return engines.connect(secure(docker_engine))


def pieces(whole: bytes):
    for at in range(0, len(whole), 512):
        yield whole[at : at + 512]


def login(user: str, password: str, host: str) -> Secret:
    about = {"username": user, "password": password, "serveraddress": host}
    return Secret(base64.urlsafe_b64encode(json.dumps(about).encode()).decode())


def test_build_push_pull_and_look(engine, docker_engine, tmp_path):
    lines: list[dict] = []
    sent = pieces(context("FROM base:1\nCOPY note /\nRUN echo built $(cat /note)\n", note="of ours"))
    with ImageRegistry(tmp_path / "registry", users={"ci": "password of ci"}) as registry:
        name, auth = f"{registry.host}/team/shop", login("ci", "password of ci", registry.host)
        built = images.build(engine, sent, BuildOptions(tags=(f"{name}:1",)), on_line=lines.append)
        assert built.startswith("sha256:") and "built of ours\n" in [line.get("stream") for line in lines]
        with pytest.raises(StepFailed) as failed:
            images.push(engine, name, "1", auth=login("ci", "another password", registry.host))
        assert failed.value.message.code == "image_push_failed" and "another password" not in str(failed.value)
        digest = images.push(engine, name, "1", auth=auth, on_line=lines.append)
        assert images.push(engine, name, "1", auth=auth) == digest
        assert images.remove(engine, f"{name}:1") and not images.remove(engine, f"{name}:1")
        assert images.inspect(engine, f"{name}@{digest}") is None
        found = images.pull(engine, f"{name}@{digest}", auth=auth, on_line=lines.append)
        assert found["RepoDigests"] == [f"{name}@{digest}"] and found["Id"] == built
        with pytest.raises(StepFailed) as failed:
            images.pull(engine, f"{name}:2", auth=auth)
        assert failed.value.message.code == "image_pull_failed"
        assert images.remove(engine, f"{name}@{digest}")


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FROM base:1\nRUN exit 3\n", "returned a non-zero code: 3"),
        ("FROM base:1\nBOGUS\n", "unknown instruction: BOGUS"),
        ("FROM 127.0.0.1:1/none:1\n", "connection refused"),
        ("FROM base:1\nCOPY none /\n", "none"),
    ],
)
def test_build_that_fails(engine, dockerfile, words):
    with pytest.raises(StepFailed) as failed:
        images.build(engine, context(dockerfile), BuildOptions(cached=False))
    assert words in failed.value.words and failed.value.message.code == "image_build_failed"


def test_another_thread_ends_a_build(engine, docker_engine):
    """The engine then ends the step that ran, and keeps no container of it."""
    interrupt, lines = Interrupt(), []
    sent = context("FROM base:1\nRUN echo sleeping && sleep 300\n")
    thread = threading.Thread(target=lambda: until_it_sleeps(lines, interrupt))
    thread.start()
    begun = time.monotonic()
    with pytest.raises(GivenUp):
        images.build(engine, sent, BuildOptions(cached=False), on_line=lines.append, interrupt=interrupt)
    thread.join()
    assert time.monotonic() - begun < within(10)
    wait_until(lambda: not docker_engine.containers(), 10, "the end of the step")


def until_it_sleeps(lines: list[dict], interrupt: Interrupt) -> None:
    wait_until(lambda: {"stream": "sleeping\n"} in lines, 20, "the step's output")
    interrupt.cut()


def test_silent_build_is_given_up(engine):
    with pytest.raises(EngineAway) as failed:
        images.build(engine, context("FROM base:1\nRUN sleep 300\n"), BuildOptions(cached=False), silence=1)
    assert failed.value.message.code == "engine_away.silent"


def test_network_of_a_build(engine):
    lines: list[dict] = []
    sent = context("FROM base:1\nRUN ip -o link | wc -l\n")
    images.build(engine, sent, BuildOptions(network="none", cached=False), on_line=lines.append)
    assert {"stream": "1\n"} in lines


@pytest.mark.slow
def test_engine_is_killed_during_a_build(short_tmp):
    with docker.Dockerd(short_tmp / "d") as lab:
        lab.add_base()
        engine, lines = engines.connect(secure(lab)), []
        threading.Thread(target=lambda: [wait_until(lambda: {"stream": "on\n"} in lines, 20), lab.kill()]).start()
        with pytest.raises(EngineAway):
            images.build(
                engine, context("FROM base:1\nRUN echo on && sleep 300\n"), BuildOptions(), on_line=lines.append
            )
        with pytest.raises(EngineAway):
            engines.connect(secure(lab))
        lab.stop()
        lab.start()
        assert images.build(engines.connect(secure(lab)), context("FROM base:1\nRUN echo 1\n"), BuildOptions())


def test_an_end_is_no_success():
    """A stream that ends without the id, or is cut off, has not built anything."""
    for reply in (answer(b'{"stream": "Step 1"}\n'), cut_short):
        with door(version(), reply) as url:
            engine = engines.connect(part(url))
            with pytest.raises(EngineAway):
                images.build(engine, b"", BuildOptions())
    error = b'{"aux": {"ID": "sha256:1"}}\n{"errorDetail": {"message": "no space left"}, "error": "no space left"}\n'
    with door(version(), answer(error)) as url:
        engine = engines.connect(part(url))
        with pytest.raises(StepFailed, match="no space left"):
            images.build(engine, b"", BuildOptions())


def test_words_of_the_engine_show_no_password():
    auth = login("ci", "very secret", "r.example.com")
    error = b'{"error": "denied for ci:very secret\\u001b[31m at\\n r.example.com"}'
    with door(version(), answer(error)) as url:
        engine = engines.connect(part(url))
        with pytest.raises(StepFailed) as failed:
            images.push(engine, "r.example.com/x", "1", auth=auth)
    assert failed.value.words == "denied for ci:*********** [31m at r.example.com"
    assert "very secret" not in str(failed.value) and sign_in.said(auth)["password"] == "very secret"


def test_a_look_is_locked_down(engine, docker_engine):
    script = (
        "id -u; ip -o link | wc -l; echo x > /x; echo y > /tmp/y && cat /tmp/y; "
        "grep -c 'CapEff.*[1-9a-f]' /proc/self/status; ls /var/run /run"
    )
    ran = containers.run(engine, "base:1", ["/bin/sh", "-c", script], seconds=within(10))
    assert ran.output.split() == ["65534", "1", "y", "0"] and ran.status
    assert "Read-only file system" in ran.errors and "docker.sock" not in ran.output
    assert containers.LOCKED["CapDrop"] == ["ALL"] and "Binds" not in containers.LOCKED
    assert not docker_engine.containers()


def test_volumes_of_an_image_are_not_writable_in_a_look(engine, docker_engine):
    """An engine makes them on its own disk, without a limit."""
    made = "FROM base:1\nRUN mkdir -p -m 777 /data /deep/er\nVOLUME /data /deep/er/ /tmp\n"
    images.build(engine, context(made), BuildOptions(tags=("volumes:1",)))
    script = (
        "for each in /data /deep/er /tmp; do echo x >$each/x && echo $each; done; sed -n 's| /tmp .*||p' /proc/mounts"
    )
    ran = containers.run(engine, "volumes:1", ["/bin/sh", "-c", script], seconds=within(10))
    assert ran.output.split() == ["/tmp", "tmpfs"]
    assert not docker_engine.asked("GET", "/volumes")["Volumes"] and not docker_engine.containers()
    images.remove(engine, "volumes:1")


def test_a_look_ends_in_time(engine, docker_engine):
    assert containers.run(engine, "base:1", ["/bin/sh", "-c", "sleep 300"], seconds=0.5).status is None
    shout = "while :; do echo 0123456789012345678901234567890123456789; done"
    ran = containers.run(engine, "base:1", ["/bin/sh", "-c", f"echo first; exec >/dev/null; {shout}"], seconds=0.5)
    assert ran.status is None and ran.output == "first\n"
    with pytest.raises(EngineRefused):
        containers.run(engine, "base:1", ["/none"], seconds=5)
    assert not docker_engine.containers()


def test_what_a_look_left_behind_is_removed(engine, docker_engine):
    spec = {"Image": "base:1", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    other = docker_engine.asked("POST", "/containers/create", spec)["Id"]
    docker_engine.asked("POST", "/containers/create", {**spec, "Labels": {containers.LABEL: "1"}})
    assert containers.sweep(engine) == 0
    assert containers.sweep(engine, time.time() + containers.LEFT + 60) == 1
    assert [each["Id"] for each in docker_engine.containers()] == [other]
    docker_engine.ask("DELETE", f"/containers/{other}")


def test_push_to_a_registry_that_hangs(engine, docker_engine):
    """Nobody waits for ever: silence ends it."""
    with door(silent) as url:
        name = f"{url.removeprefix('tcp://')}/x"
        images.tag(engine, "base:1", name, "1")
        with pytest.raises(EngineAway) as failed:
            images.push(engine, name, "1", silence=2)
        images.remove(engine, f"{name}:1")
    assert failed.value.message.code in ("engine_away.silent", "engine_away.timeout")
