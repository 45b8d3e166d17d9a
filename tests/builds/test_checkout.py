"""A build from a real repository: its input, its output, and every limit."""

import os
import tarfile
from pathlib import Path

import pytest

from access.secrets import Secret
from builds import credentials
from builds.checkout import Git
from builds.leases import LeaseLost
from builds.providers import BuildRefused, Job, ProviderUnreachable
from builds.sandbox import means
from builds.sandbox.holding import Unheld
from builds.sandbox.watching import Limits


def job(repository, command: str = "true", **more) -> Job:
    known = {
        "build_id": 1,
        "service_id": 2,
        "service_name": "shop",
        "version_id": 3,
        "version": "1.0",
        "ref": "master",
        "url": repository.url,
        "command": command,
        "username": "ann",
    }
    return Job(**{**known, **more})


def git(*protocols: str, **limits) -> Git:
    return Git(protocols or ("file",), means.find("auto", "none"), Limits(**limits))


def built(one: Job, tell=lambda text: None, **limits) -> dict[str, bytes]:
    """Return the package's files."""
    ours = git(**limits)
    with ours.built(one, ours.commit(one), Unheld(tell)) as package, tarfile.open(package) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}


def test_packs_the_tree_with_command_output(repository):
    files = built(job(repository, 'echo "$SERVICE_NAME $SERVICE_ID $VERSION_ID $USERNAME $REF" > told'))
    assert set(files) == {"app", "told"}
    assert files["told"] == b"shop 2 3 ann master\n"


def test_packs_only_the_output_folder(repository):
    assert set(built(job(repository, 'cp app "$OUT/bin"'))) == {"bin"}


def test_accepts_tags_branches_and_commits(repository):
    first = repository.git("rev-parse", "HEAD").strip()
    repository.git("tag", "-a", "v1", "-m", "one")
    repository.git("branch", "feature/x")
    second = repository.commit({"app": "2"})
    assert git().commit(job(repository)) == second
    assert git().commit(job(repository, ref="v1")) == git().commit(job(repository, ref="feature/x")) == first
    assert built(job(repository, ref=first))["app"] == b"#!/bin/sh\necho 1\n"
    with pytest.raises(BuildRefused, match="no branch or tag"):
        git().commit(job(repository, ref="nowhere"))


@pytest.mark.parametrize("url", ["ext::sh -c id", "--upload-pack=touch", "git://127.0.0.1/x", "/etc", "a b"])
def test_allows_configured_protocols_only(repository, url):
    with pytest.raises(BuildRefused):
        git("https", "ssh").commit(job(repository, url=url))


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "x.lock", "a b", "-x", ""])
def test_rejects_invalid_refs(repository, ref):
    with pytest.raises(BuildRefused):
        git().commit(job(repository, ref=ref))


def test_missing_repository_is_unreachable(tmp_path):
    class Nothing:
        url = f"file://{tmp_path}/none"

    with pytest.raises(ProviderUnreachable):
        git().commit(job(Nothing))


def test_reports_failed_commands(repository):
    with pytest.raises(BuildRefused, match="exit status 3: no compiler"):
        built(job(repository, "echo no compiler >&2; exit 3"))


def test_hides_the_workers_environment(repository, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "very-secret")
    assert b"very-secret" not in built(job(repository, "env > told"))["told"]


def test_limits_memory_output_files_and_disk(repository):
    with pytest.raises(BuildRefused, match="memory"):
        built(
            job(repository, "for n in 1 2 3 4; do perl -e '$x = \"x\" x (150 << 20); sleep 20' & done; wait"),
            memory=400 << 20,
        )
    with pytest.raises(BuildRefused, match="printed more than"):
        built(job(repository, "yes"), output=1 << 20)
    with pytest.raises(BuildRefused):
        built(job(repository, "dd if=/dev/zero of=big bs=1M count=20"), file_size=4 << 20)
    with pytest.raises(BuildRefused, match="disk"):
        built(
            job(repository, "for n in 1 2 3 4 5 6; do dd if=/dev/zero of=$n bs=1M count=8; done; sleep 5"),
            disk=32 << 20,
        )


def test_stops_when_the_lease_is_lost(repository):
    def tell(text):
        if "go" in text:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        built(job(repository, "echo go; sleep 30"), tell)


def test_leaves_nothing_behind(repository, tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    built(job(repository))
    with pytest.raises(BuildRefused):
        built(job(repository, "false"))
    assert not list(Path(folder).iterdir())
    assert os.path.isdir(repository.folder)


# --- which branches and tags are built --------------------------------------------------------------------------------


@pytest.fixture
def pulled(repository) -> str:
    """Return a commit that only a pull request leads to."""
    repository.git("checkout", "-q", "-b", "theirs")
    commit = repository.commit({"app": "theirs"})
    repository.git("update-ref", "refs/pull/1/head", commit)
    repository.git("checkout", "-q", "master")
    repository.git("branch", "-q", "-D", "theirs")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return commit


def test_refuses_commits_of_pull_requests(repository, pulled):
    for patterns in ((), ("master",), ("*",), ("refs/*",)):
        with pytest.raises(BuildRefused, match="No branch or tag that may be built"):
            git().commit(job(repository, ref=pulled, refs=patterns))
    with pytest.raises(BuildRefused, match="No branch or tag that may be built"):
        git().commit(job(repository, ref="1" * 40))
    with pytest.raises(BuildRefused, match="no branch or tag"):
        git().commit(job(repository, ref="pull/1/head"))


def test_builds_ancestors_of_allowed_branches_only(repository):
    first = repository.git("rev-parse", "HEAD").strip()
    tip = repository.commit({"app": "2"})
    repository.git("checkout", "-q", "-b", "feature/x")
    feature, last = repository.commit({"app": "3"}), repository.commit({"app": "4"})
    for commit in (first, tip):
        assert git().commit(job(repository, ref=commit, refs=("master", "v*"))) == commit
    for commit in (feature, last):
        assert git().commit(job(repository, ref=commit)) == commit
        assert git().commit(job(repository, ref=commit, refs=("feature/*",))) == commit
        with pytest.raises(BuildRefused, match="No branch or tag that may be built"):
            git().commit(job(repository, ref=commit, refs=("master", "v*")))


def test_refuses_refs_outside_the_patterns(repository):
    repository.git("tag", "v1")
    repository.git("branch", "feature/x")
    assert git().commit(job(repository, ref="v1", refs=("v*",)))
    assert git().commit(job(repository, ref="v1", refs=("refs/tags/v?",)))
    for name, patterns in (("feature/x", ("master",)), ("v1", ("refs/heads/v*",)), ("master", ("mas",))):
        with pytest.raises(BuildRefused, match="is not built"):
            git().commit(job(repository, ref=name, refs=patterns))


# --- repositories, credentials and packages ---------------------------------------------------------------------------


def test_removes_credentials_before_the_command(repository, monkeypatch):
    opened = lambda credential, url, home, environment: credentials.Opened(
        {".ssh/netrc.test": b"secret"}, {**environment, "GIT_SECRET": "very-secret"}
    )
    monkeypatch.setattr(credentials, "opened", opened)
    one = job(
        repository,
        "find / -name netrc.test 2>/dev/null > told; env >> told; ls -A ~ >> told",
        secrets={"NPM_TOKEN": Secret("for-the-build")},
    )
    content = built(one)["told"]
    assert b"netrc" not in content and b"GIT_SECRET" not in content and b"NPM_TOKEN=for-the-build" in content
    assert "for-the-build" not in repr(one)


def test_follows_no_links_to_the_package(repository, tmp_path):
    (tmp_path / "secret").write_text("of the worker")
    command = f"rm -rf ../out; ln -s {tmp_path} ../out; ln -s {tmp_path}/secret ../package.tar.gz; echo x > y"
    assert b"of the worker" not in b"".join(built(job(repository, command)).values())


def test_removes_unreadable_and_deep_folders(repository, tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    tmp_path.chmod(0o755)
    command = (
        "mkdir /tmp/closed; touch /tmp/closed/x; chmod 0 /tmp/closed; cd /tmp; "
        'perl -e \'for (1..3000) { mkdir "dddddddd"; chdir "dddddddd" }\''
    )
    built(job(repository, command))
    assert not list(folder.iterdir())
