"""A checkout is complete, or the build is refused: submodules, Git LFS, tags and history, from real servers."""

import shutil

import pytest

from access.secrets import Secret
from builds.credentials import Credential
from builds.providers import BuildRefused, Job
from builds.sandbox.holding import Unheld
from builds.sandbox.running import BuildTimedOut

from .githttp import GitHttp
from .repository import Repository
from .test_checkout import built as built_from_a_folder
from .test_checkout import job
from .test_credentials import git_of

pytestmark = pytest.mark.found("builds")
PASSWORD = "canary-of-the-repository"
ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"


@pytest.fixture
def server(tmp_path):
    with GitHttp(tmp_path, "ci", PASSWORD) as one:
        yield one


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "shop")


@pytest.fixture
def library(tmp_path):
    one = Repository(tmp_path / "library")
    one.commit({"lib": "of the library"})
    one.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return one


def of(server, repository, command="true", **more) -> Job:
    return job(
        repository,
        command,
        url=f"{server.url}/{repository.folder.name}/.git",
        credential=Credential("ci", Secret(PASSWORD)),
        **more,
    )


def built(one: Job) -> dict[str, bytes]:
    import tarfile

    git = git_of("http")
    with git.built(one, git.commit(one), Unheld()) as package, tarfile.open(package) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}


def add_submodule(repository, url: str, commit: str, name: str = "library", more: str = "") -> None:
    """As `git submodule add` leaves it, without fetching."""
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{name}")
    (repository.folder / ".gitmodules").write_text(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n{more}')
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "with a submodule")


@pytest.mark.parametrize("depth", [0, 1])
def test_fetches_submodules_of_every_depth(server, repository, library, depth):
    inner = Repository(library.folder.parent / "inner")
    add_submodule(library, "../../inner/.git", inner.git("rev-parse", "HEAD").strip(), "inner")
    first = library.git("rev-parse", "HEAD").strip()
    library.commit({"lib": "newer"})  # the submodule's commit is not what its branch stands at
    add_submodule(repository, "../../library/.git", first)
    files = built(of(server, repository, "cat library/lib library/inner/app > told", depth=depth))
    assert files["told"] == b"of the library#!/bin/sh\necho 1\n"
    assert {"library/lib", "library/inner/app"} <= set(files)
    assert not any(name.rpartition("/")[2] == ".git" for name in files)


def test_unreachable_submodules_fail_the_build(server, repository, library):
    there = library.git("rev-parse", "HEAD").strip()
    for url, why in (
        ("../../nowhere/.git", "submodule could not be fetched"),
        (f"file://{library.folder}", "transport 'file' not allowed"),
    ):
        add_submodule(repository, url, there)
        with pytest.raises(BuildRefused, match=why):
            built(of(server, repository))


def test_missing_submodules_fail_the_build(server, repository, library):
    there = library.git("rev-parse", "HEAD").strip()
    add_submodule(repository, "../../library/.git", there, more="\tupdate = none\n")
    with pytest.raises(BuildRefused, match="the submodule library was left out"):
        built(of(server, repository))
    repository.git("rm", "-q", "--cached", ".gitmodules")
    repository.git("commit", "-q", "-m", "no address any more")
    with pytest.raises(BuildRefused, match=r"submodule could not be fetched: .*[Nn]o url"):
        built(of(server, repository))


def test_fetches_lfs_files(server, repository, library):
    library.commit({".gitattributes": ATTRIBUTES, "data.bin": server.lfs(b"of the library" * 9)})
    big = bytes(range(256)) * 5000
    repository.commit({".gitattributes": ATTRIBUTES, "model.bin": server.lfs(big), "a name.bin": server.lfs(b"other")})
    add_submodule(repository, "../../library/.git", library.git("rev-parse", "HEAD").strip())
    files = built(of(server, repository, "wc -c < model.bin > told"))
    assert files["model.bin"] == big and files["a name.bin"] == b"other" and files["told"].strip() == b"1280000"
    assert files["library/data.bin"] == b"of the library" * 9
    assert not any(b"git-lfs" in content for name, content in files.items() if name.endswith(".bin"))


def test_missing_lfs_files_fail_the_build(server, repository):
    pointer = server.lfs(b"gone")
    server.objects.clear()
    repository.commit({".gitattributes": ATTRIBUTES, "model.bin": pointer})
    with pytest.raises(BuildRefused, match=r"files of Git LFS could not be fetched: .*(does not exist|missing|404)"):
        built(of(server, repository))


def test_excluded_lfs_files_fail_the_build(server, repository):
    repository.commit(
        {
            ".gitattributes": ATTRIBUTES,
            "model.bin": server.lfs(b"x" * 500),
            ".lfsconfig": "[lfs]\n\tfetchexclude = *.bin\n",
        }
    )
    with pytest.raises(BuildRefused, match=r"of model.bin there is only the Git LFS pointer"):
        built(of(server, repository))


def test_lfs_uses_allowed_protocols_only(server, repository, tmp_path):
    repository.commit(
        {
            ".gitattributes": ATTRIBUTES,
            "model.bin": server.lfs(b"x"),
            ".lfsconfig": f"[lfs]\n\turl = file://{tmp_path}\n",
        }
    )
    with pytest.raises(BuildRefused, match="address of the Git LFS server must be one of: http"):
        built(of(server, repository))


def test_refuses_lfs_repositories_without_git_lfs(server, repository, tmp_path, monkeypatch):
    from builds import scripts

    repository.commit({".gitattributes": ATTRIBUTES, "model.bin": server.lfs(b"x")})
    monkeypatch.setattr(scripts, "COMPLETE", scripts.COMPLETE.replace("command -v git-lfs", "command -v git-lfs-none"))
    with pytest.raises(BuildRefused, match="install the package git-lfs"):
        built(of(server, repository))


def test_history_has_the_chosen_depth(repository):
    repository.git("tag", "-a", "v1.0", "-m", "one")
    for number in range(3):
        repository.commit({"app": str(number)})
    command = "git describe > told; git rev-list --count HEAD >> told; git tag >> told"
    assert built_from_a_folder(job(repository, command))["told"].decode().split()[1:] == ["4", "v1.0"]
    assert built_from_a_folder(job(repository, command))["told"].startswith(b"v1.0-3-g")
    shallow = "git rev-list --count HEAD > told; git tag >> told"
    assert built_from_a_folder(job(repository, shallow, depth=2))["told"].split() == [b"2"]
    repository.git("tag", "v2.0")
    assert built_from_a_folder(job(repository, shallow, depth=1))["told"].split() == [b"1", b"v2.0"]


@pytest.mark.parametrize("name", ["feature/#42", "fix(cart)", "功能/支付", "a'b$(id)", "@x", "a;b&c", "100%"])
def test_builds_every_valid_branch_name(repository, name):
    repository.git("checkout", "-q", "-b", name)
    repository.commit({"app": "of the branch"})
    files = built_from_a_folder(job(repository, 'printf %s "$REF" > told', ref=name, refs=("*",)))
    assert (files["app"], files["told"].decode()) == (b"of the branch", name)
    with pytest.raises(BuildRefused, match="is not built"):
        built_from_a_folder(job(repository, ref=name, refs=("master",)))


# What reserves address space and does not use it: node, WebAssembly and the JVM do. mmap's number by the machine.
RESERVES = """
perl -e 'my %number = ("x86_64" => 9, "aarch64" => 222); use POSIX; my $machine = (POSIX::uname())[4];
for (1 .. 8) { syscall($number{$machine}, 0, 64 << 30, 3, 0x4022, -1, 0) > 0 or die "no room: $!" } print "reserved\\n"'
command -v node >/dev/null && node -e 'new WebAssembly.Memory({initial: 1, maximum: 65536}); console.log("node")'
command -v java >/dev/null && java -Xmx200m -version 2>/dev/null && echo java
true
"""


def test_limits_memory_not_address_space(repository):
    files = built_from_a_folder(job(repository, f"({RESERVES}) > told"), memory=400 << 20)
    assert files["told"].decode().split() == ["reserved", *filter(shutil.which, ("node", "java"))]
    with pytest.raises((BuildRefused, BuildTimedOut), match="of memory"):
        built_from_a_folder(job(repository, "perl -e '$x = \"x\" x (600 << 20); sleep 20'"), memory=400 << 20)


@pytest.mark.django_db
def test_migration_keeps_shallow_history(capsys):
    import importlib

    from django.apps import apps
    from django.db import connection, migrations

    from tests import factories

    old, other = factories.service("old", build_url="https://git.example/x"), factories.service("uploaded")
    assert (old.build_depth, other.build_depth) == (0, 0)
    migration = importlib.import_module("microservice.migrations.0018_complete_checkouts").Migration
    for operation in migration.operations:
        if isinstance(operation, migrations.RunPython):
            operation.code(apps, connection.schema_editor())
    output = capsys.readouterr().out
    old.refresh_from_db()
    other.refresh_from_db()
    assert (old.build_depth, other.build_depth) == (1, 0) and "build_depth is 1" in output and ": old" in output
