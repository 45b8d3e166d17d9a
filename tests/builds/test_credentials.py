"""git fetches with credentials that the build command never sees: real servers, and every place of a leak."""

import base64
import os
import pwd
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest
from django.utils import timezone

from access.sealed import SealedMap
from access.secrets import Secret
from builds import checkout, credentials
from builds.checkout import Git
from builds.credentials import Credential
from builds.jobs import own_keys
from builds.providers import BuildRefused, Job, ProviderUnreachable
from builds.sandbox import means
from builds.sandbox.holding import Unheld
from builds.sandbox.watching import Limits
from microservice.models import MicroService

from .githttp import GitHttp
from .test_checkout import git as shut_in
from .test_checkout import job

PASSWORD = "canary p@ss:word%40'\"$(id)"


def git_of(*protocols: str) -> Git:
    """Shut in; but without a sandbox where git fetches from a server of the test on loopback, which none reaches."""
    return shut_in() if protocols == ("file",) else Git(protocols, means.find("off", "auto"), Limits())


def build(one: Job, *protocols: str) -> tuple[str, bytes]:
    """Return the output of the build, and the bytes of its package."""
    output = [""]
    git = git_of(*protocols)
    with git.built(one, git.commit(one), Unheld(output.append)) as package:
        return output[-1], package.read_bytes()


class Watched(threading.Thread):
    """Arguments and environment of every process, looked at again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self) -> None:
        while not self.over.wait(0.003):
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        self.seen.add((folder / name).read_bytes())
                    except OSError:
                        continue


@pytest.mark.found("builds")
def test_passwords_are_not_in_arguments_or_environment(repository):
    with GitHttp(repository.folder.parent, "ci", PASSWORD) as server, Watched() as watched:
        one = job(
            repository,
            "sleep 2; cp app app2",  # a look at all processes takes a busy machine a second
            url=f"{server.url}/repository/.git",
            credential=Credential("ci", Secret(PASSWORD)),
        )
        printed, package = build(one, "http")
    assert len(package) > 50 and any(server.requests)
    coded = base64.b64encode(f"ci:{PASSWORD}".encode())
    everything = b"\n".join(watched.seen)
    assert b"git" in everything and b"COMMIT=" in everything
    assert b"canary p@ss" not in everything and coded not in everything and "canary" not in printed


def test_reports_wrong_passwords(repository):
    with GitHttp(repository.folder.parent, "ci", PASSWORD) as server:
        for wrong in (Credential(), Credential("ci", Secret("canary-wrong-one"))):
            with pytest.raises(ProviderUnreachable) as refused:
                build(job(repository, url=f"{server.url}/repository/.git", credential=wrong), "http")
            assert "cannot be read" in str(refused.value) and "canary" not in str(refused.value)


def test_redirects_get_no_password(repository):
    with GitHttp(repository.folder.parent, "ci", PASSWORD) as thief:
        with (
            GitHttp(repository.folder.parent, "", "", redirect=thief.url) as server,
            pytest.raises(ProviderUnreachable),
        ):
            build(
                job(repository, url=f"{server.url}/repository/.git", credential=Credential("ci", Secret(PASSWORD))),
                "http",
            )
        assert thief.requests and not any(thief.requests)


def test_build_commands_see_no_credential(repository):
    look = (
        'find "$HOME" -type f -print0 | xargs -0 grep -l canary; find "$HOME" -name ".credential*"; '
        "env | grep -i -e canary -e GIT_ -e SSH_"
    )
    with GitHttp(repository.folder.parent, "ci", PASSWORD) as server:
        one = job(
            repository,
            f"({look}) > ../found; mv ../found found",
            url=f"{server.url}/repository/.git",
            credential=Credential("ci", Secret(PASSWORD)),
        )
        git = git_of("http")
        with git.built(one, git.commit(one), Unheld()) as package, tarfile.open(package) as archive:
            assert archive.extractfile("found").read() == b""


@pytest.mark.found("keys")
def test_ssh_key_file_is_private(repository, sshd, tmp_path, monkeypatch):
    known = tmp_path / "known_hosts"
    known.write_text(f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n")
    ssh = f"ssh -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes -F {os.devnull}"
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh)
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent")
    url = f"ssh://{sshd.username}@{sshd.address}:{sshd.port}{repository.folder}/.git"
    with pytest.raises(ProviderUnreachable):
        build(job(repository, url=url), "ssh")
    with Watched() as watched:
        pasted = "\ufeffthe key:\r\n" + sshd.client_key.replace("\n", "\r\n")
        printed, package = build(job(repository, "true", url=url, credential=Credential(key=Secret(pasted))), "ssh")
    assert len(package) > 50
    body = sshd.client_key.splitlines()[2].encode()
    assert body not in b"\n".join(watched.seen) and body.decode() not in printed


def test_ssh_uses_only_the_given_key():
    key, url = Credential(key=Secret("k")), "ssh://git@example.com/shop.git"
    found = credentials.opened(key, url, "/home/x", {"SSH_AUTH_SOCK": "x", "A": "b"})
    assert found.files == {".credential/key": b"k\n"}
    assert found.environment == {
        "A": "b",
        "GIT_SSH_COMMAND": "ssh -i /home/x/.credential/key -o IdentitiesOnly=yes -o BatchMode=yes",
    }
    assert credentials.opened(key, "https://example.com/shop.git", "/home/x", {}).files == {}
    assert credentials.opened(Credential("u", Secret("p")), url, "/home/x", {}).files == {}


def test_masks_secrets_in_build_output(repository):
    secrets = {"TOKEN": Secret("canary-token"), "PEM": Secret("line-of-canary-1\nline-of-canary-2\n")}
    slowly = 'printf "tok=canary-"; sleep 1.3; echo token; echo "$PEM"; printf %s "$TOKEN" | base64; echo "$TOKEN" >&2'
    output: list[str] = []
    git, one = git_of("file"), job(repository, f'{slowly}; printf %s "$TOKEN" > kept', secrets=secrets)
    with Watched() as watched, git.built(one, git.commit(one), Unheld(output.append)):
        pass
    assert not [text for text in output if "canary" in text or base64.b64encode(b"canary-token").decode() in text]
    assert output[-1].splitlines()[0] == "tok=************"
    assert not [one for one in watched.seen if b"canary-token" in one and b"\0git\0" in one]


def test_failure_reasons_hold_no_secret(repository):
    one = job(repository, 'echo "wrong token: $TOKEN" >&2; exit 3', secrets={"TOKEN": Secret("canary-token")})
    with pytest.raises(BuildRefused) as refused:
        build(one, "file")
    assert "exit status 3: wrong token: ************" in str(refused.value)


def test_truncated_logs_hold_no_partial_secret(repository):
    one = job(
        repository,
        'i=0; while [ $i -lt 5000 ]; do echo "$TOKEN-$i"; i=$((i+1)); done',
        secrets={"TOKEN": Secret("canary-token-that-is-long")},
    )
    printed, _ = build(one, "file")
    assert len(printed) == 64 * 1024 and "canary" not in printed and "oken" not in printed


def test_repr_hides_secrets(repository):
    credential = Credential("u", Secret("canary-2"), Secret("c-3"))
    one = job(repository, secrets={"A": Secret("canary-1")}, credential=credential)
    assert "canary" not in f"{one} {one!r} {one.credential}" and "c-3" not in repr(one)


def test_leaves_no_temporary_files(repository, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with GitHttp(repository.folder.parent, "ci", PASSWORD) as server:
        build(
            job(repository, url=f"{server.url}/repository/.git", credential=Credential("ci", Secret(PASSWORD))), "http"
        )
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("setting", "of_team", "has_key", "lent"),
    [
        ("unowned", False, False, True),
        ("unowned", True, False, False),
        ("unowned", False, True, False),
        ("all", True, False, True),
        ("all", True, True, False),
        ("none", False, False, False),
    ],
)
def test_unowned_services_use_the_workers_keys(settings, setting, of_team, has_key, lent):
    settings.BUILD_SSH_KEYS = setting
    key = SealedMap().after({"key": "k" * 40}, timezone.now()) if has_key else SealedMap()
    assert own_keys(MicroService(name="shop", team_id=7 if of_team else None, build_credential=key)) is lent


def test_team_services_use_no_worker_keys(repository, sshd, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n")
    (home / ".ssh" / "id_ed25519").write_text(sshd.client_key)
    worker = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr("pwd.getpwuid", lambda uid: pwd.struct_passwd((*worker[:5], str(home), worker[6])))
    for own, files in ((True, {"known_hosts", "id_ed25519"}), (False, {"known_hosts"})):
        with git_of("ssh")._run(job(repository), lambda text: None, 10) as run:
            one = job(repository, url=f"ssh://{sshd.username}@{sshd.address}/x", own_keys=own)
            with checkout._access(run, one, {}):
                assert {path.name for path in (run.folder / "git-home" / ".ssh").iterdir()} == files
            assert not [path for path in (run.folder / "git-home").rglob("*") if path.is_file()]
