"""pyinfra's inventory of the hosts in the file that BENCH_HOSTS names."""

import json
import os
from pathlib import Path

_lab = json.loads(Path(os.environ["BENCH_LAB"]).read_text())
_ssh = {
    "ssh_user": _lab["user"],
    "ssh_port": _lab["port"],
    "ssh_key": _lab["key"],
    "ssh_known_hosts_file": _lab["known"],
    "ssh_allow_agent": False,
    "ssh_look_for_keys": False,
}
hosts = [(address, _ssh) for address in Path(os.environ["BENCH_HOSTS"]).read_text().split()]
