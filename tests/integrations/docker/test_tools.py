"""What the script said of an image's tools, and how far a pull is: pure."""

import subprocess

from integrations.docker import tools
from integrations.docker.pull_progress import MAX_LAYERS, Progress
from integrations.docker.tools import Tool
from microservice.catalog import recipes


def test_reads_what_the_script_prints():
    said = (
        "sh\t/bin/sh\t\n"
        "python\t/usr/bin/python3\tPython 3.11.2\n"
        "pip\t/usr/bin/pip3\tpip 23.0.1 from /usr/lib/python3/dist-packages/pip (python 3.11)\n"
        "conda\t/opt/conda/bin/conda\tconda 24.1.2\n"
        "apt\t/usr/bin/apt-get\tapt 2.6.1 (amd64)\n"
    )
    found = tools.found(said)
    assert found == {
        "sh": Tool("/bin/sh"),
        "python": Tool("/usr/bin/python3", "3.11.2"),
        "pip": Tool("/usr/bin/pip3", "23.0.1"),
        "conda": Tool("/opt/conda/bin/conda", "24.1.2"),
        "apt": Tool("/usr/bin/apt-get", "2.6.1"),
    }
    recipe = tools.recipe("python:3.11", found)
    assert recipe == {"base": "python:3.11", "python": {"version": "3.11.2"}} and not recipes.errors(recipe)


def test_an_image_may_say_anything():
    """What it prints is its own word: it is bounded, and cannot make a recipe that is none."""
    lies = [
        "python\t/bin/x\tPython 3.99999.1",
        "python\trelative\t1.0",
        "nonsense\t/x\t1.0",
        "python",
        "\t\t\t",
        "pip\t/x\x1b\t1.1",
    ]
    found = tools.found("\n".join([*lies, f"apt\t/{'a' * 999}\t{'9.' * 999}9", "apt\t/second\t1.0"]))
    assert found["python"] == Tool("/bin/x", "3.99999.1") and found["pip"] is None and found["sh"] is None
    assert len(found["apt"].path) == tools.MAX_PATH and len(found["apt"].version) == tools.MAX_VERSION
    for version in ("3.99999.1", "4.0", "1", "", "3.1.1; rm -rf /"):
        assert not recipes.errors(tools.recipe("base:1", {"python": Tool("/bin/x", version)}))


def test_script_asks_this_machine(tmp_path):
    """Programs that are there are found, ones that fail are not; whichever shell it is."""
    for name, body in {"python3": "echo Python 3.12.4", "pip3": "exit 1", "pip": "echo pip 24.0; echo more"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    for shell in (["sh"], ["dash"], ["busybox", "sh"], ["bash"]):
        ran = subprocess.run(
            [*shell, "-c", tools.SCRIPT], capture_output=True, text=True, env={"PATH": f"{tmp_path}:/bin"}
        )
        found = tools.found(ran.stdout)
        assert found["python"] == Tool(f"{tmp_path}/python3", "3.12.4"), (shell, ran)
        assert found["pip"] == Tool(f"{tmp_path}/pip", "24.0") and found["sh"] == Tool("/bin/sh")


def test_progress_of_a_pull():
    progress = Progress()
    lines = [
        {"status": "Pulling from team/shop", "id": "1.0"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Already exists", "progressDetail": {}, "id": "b"},
        {"status": "Downloading", "progressDetail": {"current": 40, "total": 100}, "id": "a"},
        {"status": "Digest: sha256:0"},
        {"status": None, "id": 1},
        {"status": "Downloading", "progressDetail": "none", "id": "c"},
    ]
    for line in lines:
        progress.feed(line)
    assert progress.shown() == {"layers": 3, "done": 1, "loaded": 40, "total": 100}
    for status in ("Download complete", "Extracting", "Pull complete"):
        progress.feed({"status": status, "progressDetail": {}, "id": "a"})
        assert progress.shown()["loaded"] == 100
    assert progress.shown()["done"] == 2
    for number in range(MAX_LAYERS + 5):
        progress.feed({"status": "Waiting", "id": str(number)})
    assert progress.shown()["layers"] == MAX_LAYERS
