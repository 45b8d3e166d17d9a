"""The lab itself: its servers do what the tests rely on."""

import re
import subprocess
import sys

import pytest
from django.db import connection

from tests.lab import processes, surroundings
from tests.lab.worker import ROOT


def run(host, command: str, **options) -> subprocess.CompletedProcess:
    known = host.folder / "known_hosts"
    known.write_text(f"[{host.address}]:{host.port} {host.host_key}\n")
    ssh = ["ssh", "-F", "none", "-i", host.client_key_path, "-p", str(host.port), "-o", f"UserKnownHostsFile={known}"]
    return subprocess.run([*ssh, f"{host.username}@{host.address}", command], capture_output=True, text=True, **options)


def test_host_is_a_real_openssh_server(sshd):
    done = run(sshd, "echo here", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr


def test_ends_commands_left_on_a_host(sshd):
    run(sshd, f"cd {sshd.root}; sleep 60 >/dev/null 2>&1 &", stdin=subprocess.DEVNULL)
    assert processes.using(sshd.root)
    processes.end_using(sshd.root)
    assert not processes.using(sshd.root)


def test_uses_the_chosen_database(db):
    assert connection.vendor == ("postgresql" if surroundings.ON_POSTGRESQL else "sqlite")


def test_hosts_have_their_own_addresses_and_keys(sshds):
    hosts = sshds(3)
    assert len({host.address for host in hosts}) == len({host.host_key for host in hosts}) == 3


@pytest.mark.django_db(transaction=True)
def test_worker_process_sees_the_rows(worker, environment):
    from django.contrib.auth import get_user_model

    get_user_model().objects.create_user("ann")
    code = "from django.contrib.auth import get_user_model as u; print(u().objects.get().username)"
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    seen = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert seen.stdout.strip() == "ann", seen.stderr
    one = worker()
    assert one.running()
    one.kill()
    assert not one.running()


def test_tests_leave_no_files_in_the_project():
    """A start tried with odd settings, or a server that dumps where it stands, wrote files such as `$(id)` here."""
    odd = [path.name for path in ROOT.iterdir() if not re.fullmatch(r"[A-Za-z0-9._-]+", path.name)]
    dumped = [path.name for path in ROOT.iterdir() if path.is_file() and not path.stat().st_size]
    assert not odd and not dumped
