"""Hostile hosts: a real sshd whose forced command reads the program that a worker sends, and answers as it likes."""

import json
import sys
from pathlib import Path

PROGRAM = """
import json, os, re, sys, time
from itertools import count
size = int(re.search(r"bs=(\\d+)", os.environ.get("SSH_ORIGINAL_COMMAND", "bs=0")).group(1))
text = b""
while len(text) < size and (data := os.read(0, size - len(text))):
    text += data
head = text.split(b"\\n")[0]
words = dict(word.split(b"=", 1) for word in head.split(b" ") if b"=" in word)
nonce, now = words.get(b"_NONCE", b"").decode(), words.get(b"_NOW", b"").decode()
names = [m.decode() for m in re.findall(rb"^_name\\d+='([^']*)'", text, re.MULTILINE)]
if names:
    json.dump(names, open(KEPT, "w"))
elif os.path.exists(KEPT):  # a worker attaches
    names = json.load(open(KEPT))
numbers = count(1)

def event(kind, position="-", step="-", status="-", old="", new="", detail="", at=now, seq=None):
    line = f"@{nonce} {next(numbers) if seq is None else seq} {at} {kind} {position} {step} {status}"
    os.write(2, f"{line}\\t{old}\\t{new}\\t{detail}\\n".encode("utf-8", "surrogateescape"))

def out(data):
    while data:
        data = data[os.write(1, data):]
"""


def forced(folder: Path, body: str) -> str:
    """Return the line for sshd_config (`extra`) of a host that answers every program with `body`: Python that may use
    `event`, `out`, `names` (of the planned steps), `now` (hundredths of a second) and `nonce`."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "answer.py"
    script.write_text(PROGRAM.replace("KEPT", json.dumps(str(folder / "names.json"))) + body)
    return f"ForceCommand {sys.executable} -I {script}"
