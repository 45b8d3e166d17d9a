"""pyinfra's operations, one for each step. pyinfra runs this file; see tools.py."""

import json
import os
from pathlib import Path

import work
from pyinfra import host
from pyinfra.operations import files, server

lab = json.loads(Path(os.environ["BENCH_LAB"]).read_text())
version = os.environ["BENCH_VERSION"]
before, steps = work.commands(lab["root"], host.name, version)

server.shell(name="folders", commands=[before])
files.put(
    name="upload",
    src=os.environ["BENCH_PACKAGE"],
    dest=work.upload(lab["root"], host.name, version),
    create_remote_dir=False,
)
for number, command in enumerate(steps):
    server.shell(name=f"step {number}", commands=[command])
