"""Values that look like shell text, and packages that try to leave their release."""

import gzip
import io
import tarfile

import pytest

from deployer.engine import program
from deployer.engine.atom import Target
from deployer.engine.journal import Kind, Result
from deployer.engine.plans import plan
from deployer.engine.program import Run

from .host import EVERY_SHELL, Host
from .words import said

NASTY = [
    "$(touch $CANARY)",
    "`touch $CANARY`",
    "'; touch $CANARY; '",
    '"; touch $CANARY; "',
    "a\nb\ntouch $CANARY\n",
    "-rf",
    "--help",
    "*",
    "~",
    "a\tb",
    "\\",
    "\\'",
    "$'x'",
    "%s%n",
    "!!",
    "Ünïcödé → 漢字",
    "",
    " ",
    "&& false",
    "|| true",
    "#",
]


@pytest.mark.parametrize("shell", EVERY_SHELL)
def test_values_reach_commands_unchanged(tmp_path, shell):
    host = Host(tmp_path, shell)
    canary = tmp_path / "canary"
    environment = {f"V{number}": value for number, value in enumerate(NASTY)} | {"CANARY": str(canary)}
    show = (
        f"for each in {' '.join(f'V{number}' for number in range(len(NASTY)))}; do "
        f'eval "printf \'%s\\0\' \\"\\$$each\\""; done >{tmp_path}/seen'
    )
    call = host.carry_out("install", None, "v1", environment=environment, start=show, check="")
    assert call.end.result is Result.DONE, (call.events, call.output)
    assert (tmp_path / "seen").read_bytes().decode().split("\0")[:-1] == NASTY
    assert not canary.exists()


@pytest.mark.parametrize("value", [value for value in NASTY if "\n" not in value])
def test_tags_hosts_and_folders_are_data(tmp_path, value):
    host = Host(tmp_path)
    host.base = tmp_path / f"base {value}x"
    host.folder = host.base / "shop"
    canary = tmp_path / "canary"
    spec = host.spec(
        start='printf %s "$TAG|$HOST|$RELEASE|$CURRENT|$SHARED" >"$RELEASE/../../said"',
        check="",
        stop="",
        environment={"CANARY": str(canary)},
    )
    target = Target(value, "127.0.0.1", str(host.base), tag=value)
    run = host.run("install", None, "v1")
    atom = plan(spec, target, "install", None, "v1", sha256=run.atom.sha256)
    call = host.start(Run(run.operation, run.fence, atom, "nonce")).over()
    assert call.end.result is Result.DONE, (call.events, call.output, call.noise)
    folder = host.folder
    assert (folder / "said").read_text() == f"{value}|{value}|{folder}/releases/v1|{folder}/current|{folder}/shared"
    assert not canary.exists()


def test_output_cannot_forge_event(running):
    end = "99 1 end - - -\\tdone\\t0\\t\\n"
    forged = f"printf '@%s {end}' n1 n2 n3 n4 >&2; printf '{end}'; false"
    call = running.carry_out("upgrade", "v1", "v2", pre=forged)
    assert call.end.result is Result.UNDONE
    assert max(event.seq for event in call.events) < 99


def test_control_characters_in_output_stay_one_event(running):
    call = running.carry_out("upgrade", "v1", "v2", pre="printf 'bad\\tthing\\001\\033[31m happened'; exit 9")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert said(failed) == "exit status 9: bad thing happened"


def test_commands_see_version_and_paths(running):
    show = 'echo "$0|$#|$SERVICE|$VERSION|$OTHER_VERSION|$HOST|$PORT|$TAG|$WEIGHT|$PWD"'
    rm = f"rm {running.root}/running"
    call = running.carry_out(
        "upgrade",
        "v1",
        "v2",
        pre=show,
        stop=f"{show}; {rm}",
        post=f"{show}; false",
        pre_undo=show,
        steps=[{"name": "own", "before": "start", "run": show, "undo": show}],
    )
    assert call.end.result is Result.UNDONE
    new = f"|0|shop|v2|v1|host-1|8080|blue|50|{running.folder}/releases/v2"
    old = f"|0|shop|v1|v2|host-1|8080|blue|50|{running.folder}/releases/v1"
    lines = ["|" + line.partition("|")[2] for line in call.output.decode().splitlines() if "|" in line]
    # pre, stop, own, post; undone: start (a stop of the new one), own, pre
    assert lines == [new, old, new, new, new, old, old]


def test_commands_get_an_ordinary_shell(running):
    show = 'umask; echo "$-" | tr -d "\\n" | grep -c u; read -r line; echo "input $?"; ls /proc/self/fd | tr "\\n" " "'
    call = running.carry_out("upgrade", "v1", "v2", start=f"{show}; printf $VERSION >{running.root}/running")
    lines = call.output.decode().splitlines()
    assert lines[:3] == ["0022", "0", "input 1"]
    assert set(lines[3].split()) <= {"0", "1", "2", "3"}, "the last one is ls's own"


def test_commands_may_be_named_like_runner_functions(running):
    call = running.carry_out("upgrade", "v1", "v2", pre="type start stop link event main step; true")
    assert call.end.result is Result.DONE
    assert b"function" not in call.output


def test_syntax_error_fails_step(any_host):
    assert any_host.carry_out("install", None, "v1").end.result is Result.DONE
    for broken in ("if then", "echo 'never closed", "exit 3"):
        call = any_host.carry_out("upgrade", "v1", "v2", pre=broken)
        assert call.end.result is Result.UNDONE, broken
    assert any_host.running == "v1"


def test_unpacked_files_belong_to_login_user(host):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("./version")
        info.size, info.uid, info.gid, info.mode = 2, 12345, 12345, 0o644
        tar.addfile(info, io.BytesIO(b"v1"))
    host.packages["v1"] = buffer.getvalue()
    assert host.carry_out("install", None, "v1").end.result is Result.DONE
    status = (host.folder / "releases/v1/version").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (host.root.stat().st_uid, 0o644)


def archive(*members: tuple[str, bytes, dict]) -> bytes:
    """Return a .tar.gz that was not rewritten, as old versions have: a member is its name, its type and more."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, more in (("version", tarfile.REGTYPE, {"mode": 0o644}), *members):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size = kind, 0o755, 2 * (name == "version")
            for field, value in more.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(b"v2"))
    return buffer.getvalue()


def smuggling() -> bytes:
    """Return an archive whose file GNU tar takes for a folder, and the file's data for headers."""
    link, folder = tarfile.TarInfo("smug"), tarfile.TarInfo("d/")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    folder.type, folder.size = tarfile.REGTYPE, 512
    return gzip.compress(b"".join(each.tobuf(tarfile.USTAR_FORMAT) for each in (folder, link)) + bytes(1024))


UNWANTED = {
    "a pipe": ([("pipe", tarfile.FIFOTYPE, {})], "pipe"),
    "a device": ([("null", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3})], "null"),
    "an absolute link": ([("etc", tarfile.SYMTYPE, {"linkname": "/etc"})], "link that leads outside: etc -> /etc"),
    "a link up": ([("a/up", tarfile.SYMTYPE, {"linkname": "../../x"})], "link that leads outside: a/up -> ../../x"),
    "a link up from inside": ([("a/up", tarfile.SYMTYPE, {"linkname": "b/../../../x"})], "link that leads outside"),
    "a link with an arrow in its name": ([("b -> c", tarfile.SYMTYPE, {"linkname": "/etc"})], "b -> c -> /etc"),
    "a link with a new line": ([("b\nc", tarfile.SYMTYPE, {"linkname": "/etc"})], "the package contains"),
    "a pipe with a new line": ([("l -> a\nc", tarfile.FIFOTYPE, {})], "the package contains"),
}


@pytest.mark.parametrize("what", UNWANTED)
def test_forbidden_package_content_fails_unpack(any_host, what):
    """The checker and the host's tar may disagree about a package from before packages were written anew."""
    host = any_host
    assert host.carry_out("install", None, "v1").end.result is Result.DONE
    before = host.tree()
    host.log.unlink()
    members, words = UNWANTED[what]
    host.packages["v2"] = archive(*members)
    refused(host, before, words)


def test_unlisted_link_fails_unpack(running):
    before = running.tree()
    running.packages["v2"] = smuggling()
    refused(running, before, "smug -> /etc")


def refused(host: Host, before: dict, words: str) -> None:
    call = host.carry_out("upgrade", "v1", "v2")
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert (failed.step, call.end.result) == ("unpack", Result.UNDONE), (call.events, call.output)
    assert words in said(failed)
    assert host.tree() == before and host.running == "v1" and host.logged == []
    assert [path.name for path in (host.folder / "releases").iterdir()] == ["v1"]


def test_accepts_links_inside_release(any_host):
    any_host.packages["v1"] = archive(
        ("a/b/c", tarfile.REGTYPE, {}),
        ("l", tarfile.SYMTYPE, {"linkname": "a"}),
        ("a/b/up", tarfile.SYMTYPE, {"linkname": "../../version"}),
        ("a/..x", tarfile.SYMTYPE, {"linkname": "..y/../b"}),
        ("nowhere", tarfile.SYMTYPE, {"linkname": "not/there"}),
        ("hard", tarfile.LNKTYPE, {"linkname": "version"}),
        ("name with -> and spaces", tarfile.REGTYPE, {}),
        ("l ->", tarfile.SYMTYPE, {"linkname": "a"}),
    )
    call = any_host.carry_out("install", None, "v1", start="true", check="", stop="true")
    assert call.end.result is Result.DONE, (call.events, call.output)
    release = any_host.folder / "releases/v1"
    assert (release / "a/b/up").read_bytes() == (release / "hard").read_bytes() == b"v2"


def test_special_bits_and_group_rights_are_dropped(any_host):
    """As root, GNU tar would keep them: an option that has no short form is told to it by its environment."""
    any_host.packages["v1"] = archive(
        ("suid", tarfile.REGTYPE, {"mode": 0o6755}), ("open", tarfile.REGTYPE, {"mode": 0o666})
    )
    call = any_host.carry_out("install", None, "v1", start="true", check="", stop="true")
    assert call.end.result is Result.DONE, (call.events, call.output)
    release = any_host.folder / "releases/v1"
    assert [(release / name).stat().st_mode & 0o7777 for name in ("suid", "open")] == [0o755, 0o644]


def test_setuid_file_fails_unpack(running):
    """Where the host's tar knows no such option, or its environment is not its own."""
    path = running.tools / "tar"
    path.write_text('#!/bin/sh\nTAR_OPTIONS= exec /usr/bin/tar --same-permissions "$@"\n')
    path.chmod(0o755)
    before = running.tree()
    for mode in (0o4755, 0o2755):
        running.packages[f"v{mode}"] = archive(("suid", tarfile.REGTYPE, {"mode": mode}))
        call = running.carry_out("upgrade", "v1", f"v{mode}")
        failed = next(event for event in call.events if event.kind is Kind.FAILED)
        assert (failed.step, call.end.result) == ("unpack", Result.UNDONE) and said(failed).endswith(": suid")
        assert running.tree() == before


@pytest.mark.found("packages")
@pytest.mark.parametrize("mode", [0o700, 0o777, 0o2755, 0o500])
def test_release_folder_mode_ignores_package(any_host, mode):
    any_host.packages["v1"] = archive(("./", tarfile.DIRTYPE, {"mode": mode}))
    call = any_host.carry_out("install", None, "v1", start="true", check="", stop="true")
    assert call.end.result is Result.DONE, (call.events, call.output)
    assert (any_host.folder / "releases/v1").stat().st_mode & 0o777 == 0o755


@pytest.mark.found("builds")
def test_accepts_version_name_of_128_characters(any_host):
    name = "a" * 100 + "+b_c." + "1" * 23
    any_host.packages[name] = archive(("a", tarfile.REGTYPE, {}))
    call = any_host.carry_out("install", None, name, start="true", check="", stop="true")
    assert call.end.result is Result.DONE, (call.events, call.output)
    assert (any_host.folder / "releases" / name / "a").exists()


def test_accepts_setgid_parent_folder(host):
    """A shared folder with a set-gid bit, as teams use it."""
    (host.base / "shop").mkdir(parents=True)
    (host.base / "shop").chmod(0o2775)
    host.packages["v1"] = archive(("a", tarfile.DIRTYPE, {}))
    assert host.carry_out("install", None, "v1", start="true", check="", stop="true").end.result is Result.DONE
    assert (host.folder / "releases/v1/a").stat().st_mode & 0o2000


def test_program_is_ascii_besides_commands():
    assert program.body().isascii()
