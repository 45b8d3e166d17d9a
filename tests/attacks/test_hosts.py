"""Other teams' hosts and secrets, and a hostile host: entries 6, 7 and 13."""

import contextlib
import json

import pytest

from tests.lab.fleet import package
from tests.lab.hostile import forced
from tests.lab.network import wait_until
from tests.lab.sshd import Sshd

from .caller import Meant
from .instance import RED_PASSWORD, RED_VALUE

SPY = "id; cd $RELEASE/../../..; grep -h DB_PASS redsvc/.deployer/runs/*/*; grep -rh DB_PASS redsvc; true"
HEAD = 'event("begun"); event("need", names.index("upload"), "upload")\n'
LIES = {
    "prints without end": HEAD + 'while True: out(b"x" * 65536)',
    "tells of 9,999 steps": HEAD
    + 'for n in range(9999): event("started", n, names[n] if n < len(names) else f"s{n}", old="w" * 5000)',
    "says that it is the year 33658": 'event("begun", at="9" * 14)',
}


@pytest.mark.entry(6)
def test_host_of_other_team(instance, tried):
    bob, dave, host = instance.people["bob"], instance.people["dave"], instance.host_ids["red"]
    answer = bob.get("/hosts/")
    assert [one["hostname"] for one in answer.json["data"]] == ["blue1"]
    answer = bob.get(f"/hosts/{host}")
    tried("blue looks at red's host", answer.said, answer.status == 404)
    bob.made("/services/", {"name": "visitor", "team": "blue", "start_command": SPY})
    version = instance.publish(bob, "visitor", "1", package({"app": "x"}))
    for who, name in ((bob, "the owner"), (dave, "a deployer")):
        answer = who.post(f"/services/visitor/versions/{version}/install", {"host": [host]})
        tried(f"{name} of blue installs on red's host", answer.said, answer.status in (403, 404, 409, 422))
    answer = bob.api("PATCH", f"/hosts/{host}", {"teams": []})
    tried("an owner of blue opens red's host", answer.said, answer.status in (403, 404))
    answer = bob.api("PATCH", "/services/visitor", {"team": "red"})
    tried("an owner of blue moves a service to red", answer.said, answer.status in (403, 422))
    answer = bob.get("/services/redsvc")
    tried("blue reads red's service", answer.said, answer.status == 404)


@pytest.mark.entry(6)
def test_service_reads_passwords_of_neighbour(instance, tried):
    alice = instance.people["alice"]
    alice.made("/services/", {"name": "neighbour", "team": "red", "start_command": SPY})
    version = instance.publish(alice, "neighbour", "1", package({"app": "x"}))
    ended = instance.installed(alice, "neighbour", version, "red")
    assert ended["status"] == "succeeded" and "uid=" in ended["log"], ended
    tried(
        "a service's command reads the programs of another's ended runs",
        Meant("no run keeps its program"),
        RED_PASSWORD not in ended["log"],
    )
    bare = [
        path
        for path in instance.hosts["red"].root.rglob("*")
        if path.is_file() and not path.is_symlink() and RED_VALUE.encode() in path.read_bytes()
    ]
    tried("… and its secrets lie in any file of the host", f"{len(bare)} files", not bare)


@pytest.mark.entry(7)
def test_viewer_seeks_passwords(instance, tried):
    vera = instance.people["vera"]
    browser = instance.browser("127.0.4.1")
    assert browser.sign_in("vera", "a-horse-of-vera-4711").status == 302
    places = {
        "GET of the service": vera.get("/services/redsvc"),
        "the list of services": vera.get("/services/"),
        "the history": vera.get("/history/?service=redsvc"),
        "the page of its settings": browser.ask("GET", "/services/redsvc/settings/"),
        "the page of the history": browser.ask("GET", "/history/"),
        "its deployments": vera.get("/deployments/"),
    }
    for place, answer in places.items():
        assert answer.status in (200, 403, 404) and (answer.status == 200 or "page" in place), (place, answer.said)
        tried(
            f"a viewer reads a value of the environment in {place}",
            Meant("it is not there"),
            RED_PASSWORD not in answer.text,
        )
    owner = instance.people["alice"].get("/services/redsvc").text
    assert RED_PASSWORD in owner, "the control: deployers see the environment"
    everything = owner + instance.people["alice"].get("/history/").text + instance.admin.get("/services/redsvc").text
    tried("the owner and an administrator read a secret", Meant("names alone"), RED_VALUE not in everything)


@pytest.mark.entry(13)
def test_hostile_hosts(instance, tried):
    alice = instance.people["alice"]
    limits = {"output_head": 65536, "output_tail": 1024, "step_timeout": 5}
    alice.made("/services/", {"name": "lied", "team": "red", "limits": limits})
    version = instance.publish(alice, "lied", "1", package({"app": "x"}))
    with contextlib.ExitStack() as stack:
        numbers = []
        for number, body in enumerate(LIES.values(), 1):
            folder = instance.folder / f"liar{number}"
            host = stack.enter_context(Sshd(folder, extra=forced(folder / "lie", body)))
            numbers.append(instance.add_host(f"liar{number}", host, "red"))
        made = alice.made(f"/services/lied/versions/{version}/install", {"host": numbers})
        path = f"/deployments/{made['id']}/operations/"
        wait_until(lambda: {one["status"] for one in alice.whole(path)} <= {"failed", "undone"}, 120, "their end")
        answer = alice.get(path)
    by_host = {one["host_id"]: one for one in answer.json["data"]}
    for lie, number in zip(LIES, numbers, strict=True):
        ended, kept = by_host[number], len(json.dumps(by_host[number]))
        tried(
            f"a host {lie}",
            f"{ended['status']}; kept {ended['output_size']} bytes, {len(ended['steps'])} steps",
            ended["output_size"] < 100_000 and len(ended["steps"]) < 15 and kept < 10_000,
        )
        assert "answer is not valid" in ended["error"], ended
