"""Secrets of builds, at a real engine: a step has them, and nothing keeps them."""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
import threading

import pytest

from access.masking import Mask, Stream
from access.secrets import Secret
from integrations.docker import build_secrets, images
from integrations.docker import engine as engines
from integrations.docker.errors import EngineAway, EngineFailed, GivenUp, StepFailed
from integrations.docker.images import BuildOptions
from integrations.docker.secret_session import SecretSession
from integrations.docker.target import Interrupt
from microservice.catalog import dockerfile
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import wait_until

from .parts import context, part, secure

SECRETS = {"TOKEN": 'a very "secret" word$x', "KEY": "-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG9w\nsecond line\n"}


@pytest.fixture
def engine(docker_engine):
    return engines.connect(secure(docker_engine))


def step(command: str) -> str:
    return "FROM base:1\n" + dockerfile.run(["/bin/sh", "-c", command], tuple(SECRETS)) + "\n"


def build(engine, text: str, **more):
    if "secrets" in more:
        more["secrets"] = dockerfile.mounted({name: Secret(value) for name, value in more["secrets"].items()})
    return images.build(engine, context(text), BuildOptions(tags=("secrets:1",), network="none", cached=False), **more)


def process_list() -> bytes:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True).stdout


def forms_of(value: str) -> list[bytes]:
    lines = [line.encode() for line in value.splitlines() if not line.startswith("---")]
    return [*lines, *(base64.b64encode(line)[:-4] for line in lines)]


def test_a_step_has_them_and_nothing_keeps_them(engine, docker_engine):
    """Neither history, configuration, layers, cache and log of the engine, nor an argument of any process."""
    lines: list[dict] = []
    arguments: set[bytes] = set()
    command = 'printf %s "$TOKEN$KEY" | sha256sum; mount | grep -c /run/secrets; sleep 0.3; ls /run/secrets'
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            arguments.add(process_list())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        image = build(engine, step(command), secrets=SECRETS, on_line=lines.append)
    finally:
        stop.set()
        watcher.join()
    printed = "".join(line.get("stream", "") for line in lines)
    assert (
        hashlib.sha256("".join(SECRETS.values()).encode()).hexdigest() in printed
        and "KEY\nTOKEN\nwith-secrets" in printed
    )
    assert 'Step 2/2 : RUN [ "/bin/sh", "/run/secrets/with-secrets", "TOKEN", "KEY", "--", "/bin/sh", "-c",' in printed
    status, exported = docker_engine.ask("GET", f"/images/{image}/get")
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        kept = b"".join(file.read() for member in archive if (file := archive.extractfile(member)))
    _, history = docker_engine.ask("GET", f"/images/{image}/history")
    _, cache = docker_engine.ask("GET", "/system/df")
    own_log = (docker_engine.folder / "log").read_bytes()
    assert arguments and b"with-secrets" in kept  # it looked at the right things
    for value in SECRETS.values():
        for form in forms_of(value):
            assert not any(form in place for place in (kept, history, cache, own_log, *arguments)), form


def test_what_steps_print_can_be_masked_also_in_pieces(engine):
    """One step's output comes in order, in whatever pieces."""
    halves = 'printf "a very "; sleep 0.1; printf \'"secret" word$x\\n\''
    stream, printed = Stream(Mask(SECRETS.values())), b""

    def take(line: dict) -> None:
        nonlocal printed
        printed += stream.feed(line.get("stream", "").encode())

    build(engine, step(f'printf %s "$TOKEN" | base64; {halves}'), secrets=SECRETS, on_line=take)
    printed += stream.flush()
    assert b"******" in printed and not any(form in printed for form in forms_of(SECRETS["TOKEN"]))


def test_a_failing_step_does_not_say_them(engine):
    with pytest.raises(StepFailed) as failed:
        build(engine, step('echo "$TOKEN" >&2; exit 7'), secrets=SECRETS)
    assert "exit code: 7" in failed.value.words and SECRETS["TOKEN"] not in str(failed.value)
    with pytest.raises(StepFailed):  # what the service does not have is not asked for elsewhere
        build(engine, step("true"), secrets={"TOKEN": SECRETS["TOKEN"]})


def test_the_environment_of_a_step_is_not_the_images(engine, docker_engine):
    image = build(engine, step("true") + "ENV A=1\n", secrets=SECRETS)
    assert [
        line for line in docker_engine.asked("GET", f"/images/{image}/json")["Config"]["Env"] if "PATH" not in line
    ] == ["A=1"]


def sign_in_at(host: str) -> Secret:
    about = {host: {"username": "ci", "password": "password of ci", "serveraddress": host}}
    return Secret(base64.urlsafe_b64encode(json.dumps(about).encode()).decode())


def test_base_images_are_pulled_with_the_registrys_account(engine, docker_engine, tmp_path):
    with ImageRegistry(tmp_path, users={"ci": "password of ci"}) as registry:
        bases = [f"FROM {registry.host}/base@{registry.push('base', tag, {'x': tag.encode()})}\n" for tag in "12"]
        assert build(engine, bases[0], secrets=SECRETS, auth=sign_in_at(registry.host)).startswith("sha256:")
        for auth in (None, sign_in_at("another.example.com")):
            with pytest.raises(StepFailed) as failed:
                build(engine, bases[1], secrets=SECRETS, auth=auth)
            assert "401 Unauthorized" in failed.value.words
            assert "password of ci" not in failed.value.words


def test_what_cannot_have_secrets_is_refused(engine):
    with pytest.raises(EngineFailed) as failed:
        images.build(engine, context(step("true")), BuildOptions(network="builds"), secrets={"A": Secret("b")})
    assert failed.value.message.code == "engine_network_and_secrets"
    old = engines.Engine(engine.target, "1.40")
    with pytest.raises(EngineFailed) as failed:
        build(old, step("true"), secrets=SECRETS)
    assert failed.value.message.code == "engine_too_old_for_secrets"


def test_a_base_may_have_a_user_of_its_own(engine):
    text = step('test "$(id -u)" = 1000 && test -n "$TOKEN"').replace("RUN", "USER 1000\nRUN")
    assert build(engine, text, secrets=SECRETS).startswith("sha256:")


def test_without_secrets_the_classic_builder_builds(engine):
    lines: list[dict] = []
    build(engine, "FROM base:1\nRUN true\n", on_line=lines.append)
    assert "Successfully built" in "".join(line.get("stream", "") for line in lines)


def test_a_build_that_is_given_up_ends(engine):
    interrupt = Interrupt()
    before = threading.active_count()
    threading.Timer(1.0, interrupt.cut).start()
    with pytest.raises(GivenUp):
        build(engine, step("sleep 4711"), secrets=SECRETS, interrupt=interrupt)
    wait_until(lambda: b"sleep 4711" not in process_list(), 10, "the end of the step")
    wait_until(lambda: threading.active_count() <= before, 10, "the session's end")


def test_no_engine():
    target = engines.Engine(engines.Target.of(part("unix:///tmp/no-such-socket")), "1.41")
    with pytest.raises(EngineAway), SecretSession(target, {}):
        pass


def test_a_larger_secret_than_a_frame(engine):
    large = {"LARGE": "x" * 16_000 + "y", **{f"N{number}": str(number) * 15_000 for number in range(6)}}
    text = "FROM base:1\n" + dockerfile.run(["/bin/sh", "-c", 'echo "${#LARGE} ${#N0} ${#N5}"'], tuple(large)) + "\n"
    lines: list[dict] = []
    build(engine, text, secrets=large, on_line=lines.append)
    assert "16001 15000 15000\n" in "".join(line.get("stream", "") for line in lines)
    assert build_secrets.OLDEST == (1, 41)
