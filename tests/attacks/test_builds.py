"""What a build command, a stranger's commit and a foreign project reach: entries 1 and 16."""

import os
from pathlib import Path

import pytest

from tests.lab.network import wait_until

from .caller import Meant

LOOK = """
echo ran
cat /proc/$PPID/environ /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | head -c 4000
cat {folder}/secrets/* 2>/dev/null
ls -R {folder}/var {folder}/packages 2>/dev/null && echo files
bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo loopback
setsid env -i sleep {mark} >/dev/null 2>&1 &
true
"""


@pytest.mark.entry(1)
def test_build_command_seeks_keys_and_leaves_process(instance, tried):
    bob, repository, mark = instance.people["bob"], instance.repository("bobsvc"), f"4242.{os.getpid()}"
    script = LOOK.format(folder=instance.folder, port=instance.web.port, mark=mark)
    bob.made(
        "/services/",
        {"name": "bobsvc", "team": "blue", "build_orig": "git", "build_url": repository.url, "build_command": script},
    )
    build = instance.built(bob, "bobsvc", "1.0")
    log = build["log"]
    if "no_sandbox" in build.get("refused", ""):
        tried("an owner's build command reads the worker's keys", build["refused"], True)
        return
    assert "ran" in log, build
    found = [name for name, value in instance.secrets.items() if value in log]
    tried("an owner's build command reads the worker's environment and key files", f"found {found}", not found)
    tried("… the packages and data of all users", Meant("no such folders"), "files" not in log)
    tried("… the web process on loopback", Meant("no connection"), "loopback" not in log)
    wait_until(lambda: not _running(mark), 10, "the end of what the build left")
    tried("… leaves a process behind (setsid, env -i)", Meant("it ended with the build"), not _running(mark))


def _running(mark: str) -> bool:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return f"sleep\0{mark}\0".encode() in found


@pytest.mark.entry(1)
def test_publisher_builds_pull_request(instance, tried):
    alice, carol, repository = instance.people["alice"], instance.people["carol"], instance.repository("pulls")
    repository.commit({"build.sh": "echo honest\n"})
    alice.made(
        "/services/",
        {
            "name": "pulls",
            "team": "red",
            "build_orig": "git",
            "build_url": repository.url,
            "build_command": "sh build.sh",
        },
    )
    honest = repository.git("rev-parse", "HEAD").strip()
    proposed = repository.commit({"build.sh": "echo a stranger was here\n"})
    repository.git("update-ref", "refs/pull/1/head", proposed)
    repository.git("reset", "-q", "--hard", honest)
    for name, ref in {"by its hash": proposed, "by its name": "refs/pull/1/head"}.items():
        build = instance.built(carol, "pulls", f"pr-{name.split()[-1]}", ref)
        outcome = build.get("refused") or f"{build['status_str']}: {build['detail'][:60]}"
        tried(
            f"a publisher builds a pull request's commit {name}",
            outcome,
            "stranger" not in build["log"] and build["status_str"] != "success",
        )
    control = instance.built(carol, "pulls", "honest", honest)
    assert "honest" in control["log"] or "no_sandbox" in control.get("refused", ""), control


@pytest.mark.entry(1)
def test_build_settings_without_right(instance, tried):
    alice = instance.people["alice"]
    token = alice.made("/tokens/", {"name": "named", "scopes": ["read", "admin"], "services": ["redsvc"]})["token"]
    named = type(alice)(instance.url, token)
    for field, value in {
        "build_command": "id",
        "build_url": "https://evil.example/x.git",
        "build_orig": "gitlab",
        "build_refs": ["*"],
        "build_secrets": {"A": "abcdefgh"},
    }.items():
        answer = named.api("PATCH", "/services/redsvc", {field: value})
        tried(f"an admin token for one service sets {field}", answer.said, answer.status == 403)
    assert named.api("PATCH", "/services/redsvc", {"description": "mine"}).status == 200
    answer = instance.people["carol"].api("PATCH", "/services/redsvc", {"build_command": "id"})
    tried("a publisher sets build_command", answer.said, answer.status == 403)


@pytest.mark.entry(16)
def test_gitlab_token_for_other_team(instance, tried):
    bindings = [{"project": "red-team/*", "team": "red"}, {"project": "team/shop", "team": "blue"}]
    document = {"gitlab": {"url": instance.gitlab.url, "token": "glpat-of-deployer", "projects": bindings}}
    saved = instance.admin.api("PUT", "/settings/", document)
    assert saved.status == 200, saved.text
    bob = instance.people["bob"]
    made = bob.made(
        "/services/",
        {"name": "deputy", "team": "blue", "build_orig": "gitlab", "build_url": f"{instance.gitlab.url}/team/shop"},
    )
    urls = {
        "at another server": "https://whatever.example/red-team/payroll.git",
        "of another team": f"{instance.gitlab.url}/red-team/payroll.git",
        "of another team, spelled otherwise": f"{instance.gitlab.url}/team/../red-team/payroll",
        "of another team, by a path": "/red-team/payroll",
        "of another team, encoded": f"{instance.gitlab.url}/red-team%2Fpayroll",
    }
    for which, url in urls.items():
        answer = bob.api("PATCH", f"/services/{made['name']}", {"build_url": url})
        tried(f"deployer's GitLab token builds a project {which}", answer.said, answer.status == 422)
    version = bob.made("/services/deputy/versions/", {"version": "1"})["id"]
    bob.made(f"/services/deputy/versions/{version}/build")
    wait_until(
        lambda: any("/team/shop/" in path for _, path, _ in instance.gitlab.requests), 60, "the control: a build"
    )
    paths = [path for _, path, _ in instance.gitlab.requests if "red-team" in path]
    tried("… GitLab is asked for a pipeline of red-team", f"{len(paths)} requests", not paths)
