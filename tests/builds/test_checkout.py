"""A build from a real repository: what it gets, what it leaves, and every limit."""
import os
import tarfile
import time
from pathlib import Path

import pytest

from builds.checkout import Git, Given, Limits, TimedOut
from builds.origin import Job, Refused, Silent

from .repository import Repository


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def job(repository, command: str = "true", **more) -> Job:
    known = {"build_id": 1, "service_id": 2, "service_name": "shop", "version_id": 3, "version": "1.0", "ref": "master",
             "url": repository.url, "command": command, "username": "ann"}
    return Job(**{**known, **more})


def built(one: Job, tell=lambda text: None, **limits) -> dict[str, bytes]:
    """The package's files."""
    git = Git(("file",), Limits(**limits))
    with git.built(one, git.commit(one), tell) as package, tarfile.open(package) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}


def test_the_package_is_the_tree_with_what_the_command_made(repository):
    files = built(job(repository, 'echo "$SERVICE_NAME $SERVICE_ID $VERSION_ID $USERNAME $REF" > told'))
    assert set(files) == {"app", "told"}
    assert files["told"] == b"shop 2 3 ann master\n"


def test_what_lies_in_out_is_the_whole_package(repository):
    assert set(built(job(repository, 'cp app "$OUT/bin"'))) == {"bin"}


def test_a_tag_a_branch_and_a_commit_are_refs(repository):
    first = repository.git("rev-parse", "HEAD").strip()
    repository.git("tag", "-a", "v1", "-m", "one")
    repository.git("branch", "feature/x")
    second = repository.commit({"app": "2"})
    git = Git(("file",))
    assert git.commit(job(repository)) == second
    assert git.commit(job(repository, ref="v1")) == git.commit(job(repository, ref="feature/x")) == first
    assert built(job(repository, ref=first))["app"] == b"#!/bin/sh\necho 1\n"
    with pytest.raises(Refused, match="no branch or tag"):
        git.commit(job(repository, ref="nowhere"))


@pytest.mark.parametrize("url", ["ext::sh -c id", "--upload-pack=touch", "git://127.0.0.1/x", "/etc", "a b"])
def test_only_the_allowed_protocols_are_spoken(repository, url):
    with pytest.raises(Refused):
        Git(("https", "ssh")).commit(job(repository, url=url))


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "x.lock", "a b", "-x", ""])
def test_what_is_no_ref_never_reaches_git(repository, ref):
    with pytest.raises(Refused):
        Git(("file",)).commit(job(repository, ref=ref))


def test_a_repository_that_is_not_there_is_silent(tmp_path):
    class Nothing:
        url = f"file://{tmp_path}/none"

    with pytest.raises(Silent):
        Git(("file",)).commit(job(Nothing))


def test_a_command_that_fails_says_so(repository):
    with pytest.raises(Refused, match="exit status 3: no compiler"):
        built(job(repository, "echo no compiler >&2; exit 3"))


def test_the_workers_environment_stays_with_the_worker(repository, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "very-secret")
    assert b"very-secret" not in built(job(repository, "env > told"))["told"]


def test_a_build_that_takes_too_long_ends_with_all_it_started(repository, tmp_path):
    mark = tmp_path / "alive"
    command = f"setsid sh -c 'while :; do date > {mark}; sleep 0.1; done' & sleep 60"
    started = time.monotonic()
    with pytest.raises(TimedOut):
        built(job(repository, command), seconds=3)
    assert time.monotonic() - started < 50
    mark.unlink(missing_ok=True)
    time.sleep(0.5)
    assert not mark.exists()


def test_memory_output_and_files_have_limits(repository):
    with pytest.raises(Refused):
        built(job(repository, "python3 -c 'x = bytearray(600 << 20)'"), memory=400 << 20)
    with pytest.raises(Refused, match="printed more than"):
        built(job(repository, "yes"), output=1 << 20)
    with pytest.raises(Refused):
        built(job(repository, "dd if=/dev/zero of=big bs=1M count=20"), file_size=4 << 20)


def test_it_stops_when_somebody_else_looks_after_it(repository):
    def tell(text):
        if "go" in text:
            raise Given

    with pytest.raises(Given):
        built(job(repository, "echo go; sleep 30"), tell)


def test_nothing_is_left_behind(repository, tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    built(job(repository))
    with pytest.raises(Refused):
        built(job(repository, "false"))
    assert not list(Path(folder).iterdir())
    assert os.path.isdir(repository.folder)
