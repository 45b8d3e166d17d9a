"""Fabric, with a thread for each host as its own groups have: with_fabric.py LAB FORM HOSTS PACKAGE VERSION.

FORM `steps`: a command for each step, as a fabfile is usually written. `one`: the upload, then one command.
"""

import json
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import work
from fabric import Config, Connection


def deploy(lab: dict, form: str, host: str, package: str, version: str) -> None:
    config = Config(overrides={"run": {"hide": True, "in_stream": False}})
    way_in = {"key_filename": lab["key"], "allow_agent": False, "look_for_keys": False}
    with Connection(host, lab["user"], lab["port"], config=config, connect_kwargs=way_in) as connection:
        pinned = paramiko.Ed25519Key(data=b64decode(lab["host_key"].split()[1]))
        connection.client.get_host_keys().add(f"[{host}]:{lab['port']}", "ssh-ed25519", pinned)
        connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        before, steps = work.commands(lab["root"], host, version)
        connection.run(before)
        connection.put(package, remote=work.upload(lab["root"], host, version))
        for command in steps if form == "steps" else [work.one_command(lab["root"], host, version)]:
            connection.run(command)


def main(lab_file: str, form: str, hosts: str, package: str, version: str) -> None:
    lab, addresses = json.loads(Path(lab_file).read_text()), Path(hosts).read_text().split()
    with ThreadPoolExecutor(len(addresses)) as threads:
        for done in [threads.submit(deploy, lab, form, host, package, version) for host in addresses]:
            done.result()


main(*sys.argv[1:])
