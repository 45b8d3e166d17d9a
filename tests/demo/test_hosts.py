"""The demo's hosts: OpenSSH's server and its small substitute behave alike."""

import getpass
import json
import os
import socket
import subprocess

import pytest

from demo import hosts, openssh, surroundings
from demo.network import choose_port
from tests.lab import processes
from tests.lab.network import wait_for_port, wait_until


@pytest.fixture(params=["openssh", "paramiko"])
def host(request, short_tmp, monkeypatch):
    """Yield a host and a function that runs a command on it with the OpenSSH client."""
    monkeypatch.setenv("DEMO_SSH", request.param)
    public = openssh.make_key(short_tmp / "key")
    one = hosts.choose(short_tmp, [])[0]
    part = hosts.part(one, public, short_tmp / "log")
    assert ("sshserver" in " ".join(part.command)) == (request.param == "paramiko")
    server = subprocess.Popen(part.command, env=part.environment, cwd=part.folder)
    wait_for_port(one.ip, one.port)
    (short_tmp / "known").write_text(f"[{one.ip}]:{one.port} {one.key}\n")
    ssh = ["ssh", "-F", "none", "-i", short_tmp / "key", "-p", str(one.port)]
    ssh += ["-o", f"UserKnownHostsFile={short_tmp}/known", "-o", "BatchMode=yes"]
    ssh += ["-o", "IdentitiesOnly=yes", f"{getpass.getuser()}@{one.ip}"]

    def run(command: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run([*ssh, command], capture_output=True, timeout=30, **options)

    run.ssh, run.host, run.folder = ssh, one, short_tmp
    yield run
    processes.end(server)
    processes.end_using(short_tmp)


def test_streams_and_exit_status(host):
    data = os.urandom(3_000_000)
    done = host("cat; echo aside >&2; exit 9", input=data)
    assert (done.returncode, done.stdout, done.stderr) == (9, data, b"aside\n")


def test_command_has_own_session(host):
    done = host("ps -o pid=,pgid=,sid= -p $$", stdin=subprocess.DEVNULL)
    assert len(set(done.stdout.split())) == 1, done


def test_command_survives_lost_connection(host):
    mark = host.folder / "mark"
    client = subprocess.Popen([*host.ssh, f"echo $$ > {mark}; sleep 1; echo on > {mark}.on"], stdin=subprocess.PIPE)
    wait_until(mark.exists, 10, "the command's start")
    client.kill()
    client.wait()
    wait_until((host.folder / "mark.on").exists, 10, "the command's end")


def test_refuses_other_key(host):
    openssh.make_key(host.folder / "other")
    ssh = [host.folder / "other" if word == host.folder / "key" else word for word in host.ssh]
    done = subprocess.run([*ssh, "echo in"], capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (255, b"")


def test_reuses_free_ports(short_tmp):
    first = hosts.choose(short_tmp, [])
    last = json.loads(json.dumps([{"hostname": host.name, "ip": host.ip, "port": host.port} for host in first]))
    assert hosts.choose(short_tmp, last) == first
    assert len({host.key for host in first}) == len(hosts.NAMES)


def test_recognizes_process_of_service(short_tmp):
    shared = short_tmp / "checkout" / "shared"
    shared.mkdir(parents=True)
    (shared / "app.pid").write_text(str(os.getpid()))
    assert hosts.running(shared) == 0
    (shared / "app.pid").write_text("not a number")
    assert hosts.running(shared) == 0


def test_secrets_are_made_once_and_private(tmp_path):
    path = tmp_path / "demo.env"
    first = surroundings.kept_secrets(path)
    assert surroundings.kept_secrets(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(first["SECRET_KEY"]) >= 32


def test_folder_is_locked(tmp_path):
    lock = surroundings.only_one(tmp_path)
    with pytest.raises(surroundings.CannotStart, match="already running"):
        surroundings.only_one(tmp_path)
    os.close(lock)
    os.close(surroundings.only_one(tmp_path))


@pytest.mark.parametrize("port", ["0", "70000", "http", "-1", "٣"])
def test_refuses_invalid_port(port, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PORT", port)
    with pytest.raises(surroundings.CannotStart, match="PORT must be"):
        surroundings.find_place()


def test_refuses_port_in_use(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("DATA_DIR", str(tmp_path))
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        with pytest.raises(surroundings.CannotStart, match="is in use"):
            surroundings.find_place()


def test_chooses_free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        last = taken.getsockname()[1]
        assert choose_port("127.0.0.1", last) != last
    assert choose_port("127.0.0.1", last) == last
