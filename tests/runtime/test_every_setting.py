"""Every documented setting, with every wrong value: the process starts, or ends with one line that names it."""

import json
import random
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from runtime.environment import SECRETS
from tests.lab.worker import ROOT

pytestmark = pytest.mark.found("settings")
TABLE = (ROOT / "docs/configuration.md").read_text().partition("## Environment variables")[2].partition("\n## ")[0]
NAMES = sorted(set(re.findall(r"^\| `([A-Z_]+)` \|", TABLE, re.M)))
CANARY = "s3cr3t-canary"
ODD = [
    " ",
    "\t",
    "''",
    '"',
    "'\"`",
    "\\",
    "/",
    "//",
    "///",
    ":",
    "://",
    "@",
    "#",
    "?",
    "%",
    "%zz",
    ";",
    ";;",
    ",",
    "-",
    "--",
    "-1",
    "0",
    "1.5",
    "1e3",
    "0x10",
    "٣",
    "９",
    "9" * 13,
    "9" * 5000,
    "x" * 5000,
    "ü",
    "日本",
    "a b",
    "a\nb",
    "a\r\nb",
    "\x01",
    "\x7f",
    "\udcff",
    "\u202e",
    "None",
    "null",
    "true",
    "[]",
    "{}",
    "[",
    "]",
    "[::1",
    "::",
    "*",
    "..",
    "/dev/null",
    "/dev/null/x",
    "/nowhere/at/all",
    "~",
    "$HOME",
    "$(id)",
    "a=b",
    "=",
    "http://",
    "https://:0",
    "http://[::1",
    "http://a:b@c",
    "ftp://x",
    "unix:",
    "unix://x",
    "fd://",
    "fd://x",
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "127.0.0.1:abc",
    "300.300.300.300/99",
]
ADDRESSES = [
    "{scheme}",
    "{scheme}:",
    "{scheme}:/",
    "{scheme}://",
    "{scheme}:///",
    "{scheme}://{c}",
    "{scheme}://:{c}@",
    "{scheme}://u:{c}@h/abc",
    "{scheme}://u:{c}@h:abc/0",
    "{scheme}://u:{c}@h:0/0",
    "{scheme}://u:{c}@h:70000/0",
    "{scheme}://u:{c}#x@h/0",
    "{scheme}://u:{c}?x@h/0",
    "{scheme}://u:{c}/x@h/0",
    "{scheme}://u:1#{c}@h/0",
    "{scheme}://u:1?{c}@h/0",
    "{scheme}://u:1/{c}@h/0",
    "{scheme}://u:1/?{c}=y@h/0",
    "{scheme}://:[{c}@h/0",
    "{scheme}://:{c}]@h/0",
    "{scheme}://:{c} x@h/0",
    "{scheme}://:{c}ü@h/0",
    "{scheme}://:{c}\x7f@h/0",
    "{scheme}://:{c}\udcff@h/0",
    "{scheme}://:{c}%@h/0",
    "{scheme}://:{c}%zz@h/0",
    "{scheme}://:{c}@h/-1",
    "{scheme}://:{c}@h/1.5",
    "{scheme}://:{c}@h/٣",
    "{scheme}://:{c}@h/0/0",
    "{scheme}://:{c}@h/0?x",
    "{scheme}://:{c}@h/0?x=y",
    "{scheme}://:{c}@h/0?{c}=y",
    "{scheme}://:{c}@h/0?ssl_cert_reqs=maybe",
    "{scheme}://:{c}@h/0?ssl_ca_certs=/nowhere",
    "{scheme}://:{c}@h/0?ssl_ca_certs=/dev/null",
    "{scheme}://:{c}@h/0?ssl_certfile=/dev/null",
    "{scheme}://:{c}@h/0?ssl_keyfile=/dev/null",
    "{scheme}://:{c}@h/0?ssl_check_hostname=perhaps",
    "{scheme}://:{c}@h/0?ssl_ca_certs=%00",
    "{scheme}://:{c}@h/0?master_name=",
    "{scheme}://:{c}@h/0?master_name=a&master_name=b",
    "{scheme}://:{c}@h/0;",
    ";{scheme}://:{c}@h/0",
    "{scheme}://:{c}@h/0;amqp://h",
    "{scheme}://:{c}@h/0;{c}",
    "{scheme}://:{c}@h,k/0",
    "{scheme}://:{c}@h:1,k:2/0",
    "{scheme}://:{c}@h/0;{scheme}://:{c}@k/1",
    " {scheme}://:{c}@h/0",
    "{scheme}://:{c}@h\n/0",
    "'{scheme}://:{c}@h/0'",
    '"{scheme}://:{c}@h/0"',
    "{scheme}+x://:{c}@h/0",
    "{upper}://:{c}@h/0",
    "{scheme}://{c}:{c}@",
    "{scheme}://:{c}@[::1/0",
    "{scheme}://:{c}@::1/0",
    "{scheme}://:{c}@h:/0",
]
SCHEMES = [
    "redis",
    "rediss",
    "redis+socket",
    "sentinel",
    "sentinels",
    "amqp",
    "amqps",
    "http",
    "postgresql",
    "postgres",
    "sqlite",
    "mysql",
    "memory",
    "x",
]


def cases() -> list[tuple[str, str]]:
    found = [(name, value) for name in NAMES for value in ODD]
    for name, schemes in (("BROKER_URL", SCHEMES), ("DATABASE_URL", SCHEMES), ("PUBLIC_URL", ["http"])):
        found += [
            (name, one.format(scheme=scheme, upper=scheme.upper(), c=CANARY)) for scheme in schemes for one in ADDRESSES
        ]
    for name in SECRETS:
        found += [(f"{name}_FILE", value) for value in ODD] + [(name, CANARY), (name, CANARY + "ü"), (name, CANARY * 9)]
    chance = random.Random(7)
    letters = string.punctuation + string.ascii_letters + string.digits + " \t\n\x01ü日\udc80"
    found += [(name, "".join(chance.choices(letters, k=chance.randint(1, 30)))) for name in NAMES for _ in range(6)]
    return found


def read(environments: list[dict[str, str]], folder: Path) -> list[dict[str, str]]:
    """Start in `folder`: a setting that names a file (ACCESS_LOG) creates it, however strange its name."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.read_settings"],
        input=json.dumps(environments),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=600,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def good(tmp_path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "DATA_DIR": str(tmp_path / "var"),
        "SECRET_KEY": "k" * 40,
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "HOME": str(tmp_path),
    }


def test_reads_the_table():
    assert len(NAMES) > 50 and {"BROKER_URL", "DATABASE_URL", "LOG_LEVEL", "ACCESS_LOG"} <= set(NAMES)


PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_invalid_settings_stop_the_start(good, part):
    check(good, [case for case in cases() if case[0] != "DATABASE_URL"][part::PARTS], 200)


def test_invalid_database_url_stops_the_start(good):
    check(good, [case for case in cases() if case[0] == "DATABASE_URL"], 400)


def check(good, tried, least):
    environments = []
    for name, value in tried:
        own = {**good, name: value}
        if name.endswith("_FILE"):
            own.pop(name.removesuffix("_FILE"), None)
        environments.append(own)
    wrong, ends = [], {"started": 0, "refused": 0}
    for (name, value), seen in zip(tried, read(environments, Path(good["HOME"])), strict=True):
        output = seen["text"] + seen["said"]
        if seen["end"] == "broke":
            wrong.append((name, value, seen["text"].splitlines()[-1]))
            continue
        ends[seen["end"]] += 1
        if CANARY in output:
            wrong.append((name, value, "a secret is told: " + output))
        if seen["end"] == "refused":
            line = seen["text"]
            if not line.startswith(f"deployer cannot start: {name} ") and not (
                name.endswith("_FILE") and line.startswith(f"deployer cannot start: {name.removesuffix('_FILE')}")
            ):
                wrong.append((name, value, "another name: " + line))
            if not line.isprintable() or len(line) > 500:
                wrong.append((name, value, "no single line: " + line[:300]))
    assert not wrong, f"{len(wrong)} of {len(tried)}:\n" + "\n".join(map(repr, wrong[:40]))
    assert ends["refused"] > least and ends["started"] > 10, ends


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "celery", "-A", "deployer", "worker"],
        ["-m", "gunicorn", "-c", "gunicorn.conf.py", "deployer.wsgi"],
        ["manage.py", "migrate"],
        ["-m", "demo.run"],
    ],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BROKER_URL", f"redis://:{CANARY}@127.0.0.1/abc"),
        ("BROKER_URL", f"redis://:{CANARY}#x@127.0.0.1/0"),
        ("LOG_LEVEL", "chatty"),
    ],
)
def test_stops_every_process(good, command, name, value):
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**good, name: value}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode
    output = done.stdout + done.stderr
    assert CANARY not in output and "Traceback" not in output
    assert [line for line in output.splitlines() if line.strip()][-1].startswith(f"deployer cannot start: {name} ")
