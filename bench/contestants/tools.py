"""The tools that a user would pick instead: installed where they are missing, and the command of each.

The product needs nothing here. A tool that cannot be installed is left out, and the bench says why.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..hosts import Hosts
from . import work

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENT = ROOT / ".venv-bench"
FABRIC, FABRIC_ONE, CAPISTRANO, PYINFRA, ANSIBLE = "FABRIC", "FABRIC-ONE", "CAPISTRANO", "PYINFRA", "ANSIBLE"
PATIENCE = 300  # seconds to install one


class CannotBeHad(Exception):
    """A tool is missing and could not be installed. The text says why, in one line."""


@dataclass(frozen=True)
class Call:
    """A contestant's command, and what it finds in its environment besides."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


# A turn's addresses (a file), package and version → what is called.
Contestant = Callable[[Path, Path, str], Call]


def describe(folder: Path, hosts: Hosts) -> Path:
    """Write a file that tells the tools where the hosts are and which steps to run."""
    path = folder / "lab.json"
    description = {
        "root": str(hosts.root),
        "port": hosts.port,
        "user": hosts.user,
        "key": str(hosts.key),
        "known": str(hosts.known),
        "host_key": hosts.host_key,
        "before": work.BEFORE,
        "steps": work.STEPS,
    }
    path.write_text(json.dumps(description))
    return path


def get(name: str, folder: Path, lab: Path) -> Contestant:
    """Return the contestant of that name, ready to be called. Raise CannotBeHad."""
    known = {FABRIC: _fabric, FABRIC_ONE: _fabric, CAPISTRANO: _sshkit, PYINFRA: _pyinfra, ANSIBLE: _ansible}
    if name not in known:
        raise CannotBeHad("no such contestant")
    return known[name](name, folder, lab)


def _fabric(name: str, folder: Path, lab: Path) -> Contestant:
    _packages("requirements.txt", "fabric")
    form = "one" if name == FABRIC_ONE else "steps"
    start = [str(ENVIRONMENT / "bin" / "python"), str(HERE / "with_fabric.py"), str(lab), form]
    return lambda hosts, package, version: Call([*start, str(hosts), str(package), version])


def _pyinfra(name: str, folder: Path, lab: Path) -> Contestant:
    _packages("requirements.txt", "pyinfra")
    program = [str(ENVIRONMENT / "bin" / "pyinfra"), "-y", "--no-wait"]
    files = [str(HERE / "pyinfra_hosts.py"), str(HERE / "with_pyinfra.py")]

    def call(hosts: Path, package: Path, version: str) -> Call:
        variables = {
            "BENCH_LAB": str(lab),
            "BENCH_HOSTS": str(hosts),
            "BENCH_PACKAGE": str(package),
            "BENCH_VERSION": version,
            "PYTHONPATH": str(HERE),
        }
        return Call([*program, "--parallel", str(len(hosts.read_text().split())), *files], variables)

    return call


def _sshkit(name: str, folder: Path, lab: Path) -> Contestant:
    if not _works(["ruby", "-e", "require 'sshkit'"]):
        _run([str(ROOT / "scripts" / "system-packages"), "ruby-sshkit"])
    start = ["ruby", str(HERE / "with_sshkit.rb"), str(lab)]
    return lambda hosts, package, version: Call([*start, str(hosts), str(package), version])


def _ansible(name: str, folder: Path, lab: Path) -> Contestant:
    _packages("requirements-ansible.txt", "ansible")
    description = json.loads(lab.read_text())
    settings = folder / "ansible.cfg"
    settings.write_text(
        "[defaults]\nforks = 50\nhost_key_checking = True\nstdout_callback = minimal\n"
        f"local_tmp = {folder}/ansible\n[ssh_connection]\npipelining = True\ncontrol_path_dir = {folder}/cp\n"
        f"ssh_args = -F {folder}/ssh_config -o ControlMaster=auto -o ControlPersist=5s\n"
    )
    program = [str(ENVIRONMENT / "bin" / "ansible-playbook"), str(HERE / "ansible.yml"), "-i"]
    python = "ansible_python_interpreter=/usr/bin/python3"

    def call(hosts: Path, package: Path, version: str) -> Call:
        inventory = folder / "inventory"
        inventory.write_text("[all]\n" + "".join(f"{address} {python}\n" for address in hosts.read_text().split()))
        variables = {"package": str(package), "version": version} | {
            key: description[key] for key in ("root", "before", "steps")
        }
        return Call([*program, str(inventory), "-e", json.dumps(variables)], {"ANSIBLE_CONFIG": str(settings)})

    return call


def _packages(requirements: str, module: str) -> None:
    """Install what bench/<requirements> names into the contestants' own environment."""
    python = ENVIRONMENT / "bin" / "python"
    listed = HERE.parent / requirements
    stamp = ENVIRONMENT / listed.name
    if stamp.exists() and stamp.read_text() == listed.read_text() and _works([str(python), "-c", f"import {module}"]):
        return
    print(f"installing what bench/{requirements} names", flush=True)
    if not python.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _run([sys._base_executable, "-m", "venv", str(ENVIRONMENT)])  # type: ignore[attr-defined]
    _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", "-r", str(listed)])
    stamp.write_text(listed.read_text())


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(command: list[str]) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeHad(f"{command[0]}: {type(error).__name__}") from None
    if ended.returncode:
        raise CannotBeHad((ended.stderr.strip() or ended.stdout.strip() or command[0]).splitlines()[-1][:200])
