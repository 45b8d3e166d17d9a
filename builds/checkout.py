"""A build from a git repository, on the worker's own machine: clone, run the command, pack what it leaves.

Everything that runs is a stranger: it runs in a sandbox (see `sandbox`), under limits on time, memory, processes, disk
and output, with none of the worker's own environment. The command is shell text of who may change the service's build.
"""

import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from microservice.catalog import building

from . import credentials, refs, scripts
from .providers import Job, Refused, Silent
from .sandbox.commands import OFF
from .sandbox.layout import Mount
from .sandbox.means import Found
from .sandbox.running import Command, Run, TimedOut, last_line
from .sandbox.watching import DEFAULT, Limits

LONGEST_ASK = 30  # seconds that a repository has to answer before anything is fetched
MOST_REFS = 64 * 1024**2  # bytes of a repository's list of branches and tags
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")
# A repository that another user owns may be read: nothing in it is run by reading it.
_AUTHORITIES = "authorities.pem"
_CONFIG = b"[safe]\n\tdirectory = *\n"


class Given(Exception):
    """Somebody else looks after the build now: whatever this one does has no meaning any more."""


def _silently(text: str) -> None:
    pass


@dataclass(frozen=True)
class Git:
    """`protocols`: those that git may speak (https, ssh; file only where a setting admits it). `proxies`: as variables
    of the environment; without them, those of this process. `tools`: what builds may read besides the system.
    `authorities`: whose certificates git believes, in PEM; without them, those that the machine believes."""

    protocols: tuple[str, ...]
    found: Found
    limits: Limits = DEFAULT
    proxies: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    authorities: str = ""

    def commit(self, job: Job, tell: Callable[[str], None] = _silently) -> str:
        """The commit that the ref stands at, if it is one that is built. `tell` is called now and then, and may raise.

        Raises Refused where there is no such ref, or no branch or tag that is built leads to it; Silent without an
        answer.
        """
        self.check(job)
        with self._run(job, tell, min(self.limits.seconds, LONGEST_ASK)) as run:
            listed = self._listed(run, job)
        if not _COMMIT.match(job.ref):
            return refs.commit_of(job.ref, listed, job.refs)
        built = refs.matching(listed, job.refs)
        if job.ref not in built.values():
            self._check_reach(job, sorted(built), tell)
        return job.ref

    def check(self, job: Job) -> None:
        """Raises Refused for what must never reach git."""
        if reason := self.found.refusal():
            raise Refused(reason)
        if _scheme(job.url) not in self.protocols or job.url.startswith("-") or any(ord(one) < 33 for one in job.url):
            raise Refused(f"The build_url must be one of: {', '.join(self.protocols)}")
        if not building.is_ref(job.ref):
            raise Refused("The ref is no branch, tag or commit")

    @contextmanager
    def built(self, job: Job, commit: str, tell: Callable[[str], None]) -> Iterator[Path]:
        """The package as a file, while the context lasts. `tell` gets the output's end now and then, and may raise.

        Raises Refused (the build failed, and why), TimedOut, Silent, and whatever `tell` raises.
        """
        with self._run(job, tell, self.limits.seconds) as run:
            self._go(run, job, "git fetch", scripts.FETCH, [job.url, commit, str(job.depth)], "work/source")
            self._go(run, job, "Completing the checkout", scripts.COMPLETE, [str(job.depth)], "work/source")
            out = run.inside("work/out")
            secrets = {name: secret.reveal() for name, secret in job.secrets.items()}
            environment = (
                secrets
                | _clean(run, "home")
                | dict(self.proxies)
                | job.variables()
                | {"VERSION": job.version, "REF": job.ref, "COMMIT": commit, "OUT": out}
            )
            run.go(
                Command(
                    "the build command",
                    ["/bin/sh", "-c", job.command],
                    environment,
                    run.inside("work/source"),
                    (run.home("home"),),
                    network=True,
                )
            )
            package = run.folder / "package.tar.gz"
            # The worker makes the file, and what was built only fills it: no link of the build's leads anywhere.
            with package.open("xb") as file:
                words = ["sh", "-c", scripts.PACK, "sh", run.inside("work/source"), out]
                run.go(Command("packing", words, _clean(run, "tmp"), run.inside("tmp"), output=file))
            yield package

    def _run(self, job: Job, tell: Callable[[str], None], seconds: float) -> Run:
        limits = Limits(
            seconds,
            self.limits.memory,
            self.limits.disk,
            self.limits.processes,
            self.limits.file_size,
            self.limits.output,
        )
        return Run(self.found.way, self.tools, limits, tell, self.found.base, job.mask())

    def _listed(self, run: Run, job: Job) -> dict[str, str]:
        with (run.folder / "refs").open("x+b") as file:
            try:
                self._go(run, job, "The repository", scripts.ASK, [job.url], "tmp", file)
            except TimedOut as error:
                raise Silent("The repository does not answer") from error
            except Refused as error:
                raise Silent(f"The repository cannot be read: {last_line(run.text())}") from error
            file.seek(0)
            return refs.listed(file.read(MOST_REFS))

    def _check_reach(self, job: Job, names: list[str], tell: Callable[[str], None]) -> None:
        """Whether the commit is an ancestor of what one of these branches and tags stands at. Raises Refused."""
        refused = Refused(f"No branch or tag that is built leads to the commit {job.ref[:12]}")
        if not names:
            raise refused
        with self._run(job, tell, self.limits.seconds) as run:
            wanted = run.folder / "wanted"
            wanted.write_text("".join(f"+{name}:refs/reach/{number}\n" for number, name in enumerate(names)))
            wanted.chmod(0o644)
            inside = str(wanted) if self.found.means == OFF else f"{run.inside('tmp')}/wanted"
            try:
                self._go(
                    run,
                    job,
                    "git fetch",
                    scripts.REACHES,
                    [job.url, job.ref, inside],
                    "tmp",
                    mounts=(Mount(str(wanted), inside),),
                )
            except Refused as error:
                # 42: it is there, and not reached. 129: git does not even know it.
                if "exit status 42:" in str(error) or "exit status 129:" in str(error):
                    raise refused from error
                raise

    def _go(
        self,
        run: Run,
        job: Job,
        what: str,
        script: str,
        words: list[str],
        cwd: str,
        output=None,
        mounts: tuple[Mount, ...] = (),
    ) -> None:
        """git itself, with what opens the repository for it. The build command sees none of that."""
        opened = credentials.opened(job.credential, job.url, run.inside("git-home"), self._git(run))
        own = {_AUTHORITIES: self.authorities.encode()} if self.authorities else {}
        with _access(run, job, own | dict(opened.files)):
            run.go(
                Command(
                    what,
                    ["sh", "-c", script, "sh", *words],
                    opened.environment,
                    run.inside(cwd),
                    (run.home("git-home"), *_repository(job), *mounts),
                    network=True,
                    output=output,
                )
            )

    def proxy_variables(self) -> dict[str, str]:
        """What git is told of proxies: those of the settings, or else those of this process."""
        ours = {name: os.environ[name] for name in ("https_proxy", "no_proxy") if name in os.environ}
        return dict(self.proxies) or ours

    def _git(self, run: Run) -> dict[str, str]:
        """git asks nobody for a password, reads nobody's configuration, and speaks the allowed protocols only."""
        ours = {name: os.environ[name] for name in ("SSH_AUTH_SOCK", "GIT_SSH_COMMAND") if name in os.environ}
        own = {"GIT_SSL_CAINFO": f"{run.inside('git-home')}/{_AUTHORITIES}"} if self.authorities else {}
        return (
            _clean(run, "git-home")
            | ours
            | own
            | self.proxy_variables()
            | {
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": f"{run.inside('git-home')}/.gitconfig",
                "GIT_ALLOW_PROTOCOL": ":".join(self.protocols),
                "GIT_ASKPASS": "/bin/false",
                "SSH_ASKPASS": "/bin/false",
            }
        )


def _scheme(url: str) -> str:
    return url.partition("://")[0] if "://" in url else "file" if url.startswith("/") else "ssh"


def _clean(run: Run, home: str) -> dict[str, str]:
    return {"HOME": run.inside(home), "TMPDIR": run.inside("tmp")}


def _repository(job: Job) -> tuple[Mount, ...]:
    """What git needs of this machine: the repository where it is a folder, the agent's socket where ssh is spoken."""
    scheme = _scheme(job.url)
    if scheme == "file":
        path = os.path.normpath(job.url.removeprefix("file://"))
        return (Mount(path, path),) if Path(path).is_dir() else ()
    agent = os.environ.get("SSH_AUTH_SOCK", "")
    return (Mount(agent, agent),) if scheme == "ssh" and job.own_keys and agent and Path(agent).exists() else ()


@contextmanager
def _access(run: Run, job: Job, opening: Mapping[str, bytes]) -> Iterator[None]:
    """The files that open the repository, in git's own home, for as long as git runs."""
    files = {".gitconfig": _CONFIG, **opening}
    if _scheme(job.url) == "ssh":
        files = {**_own_ssh(known_hosts_alone=not job.own_keys), **files}
    home = run.folder / "git-home"
    owner = home.stat()
    written = []
    try:
        for name, content in files.items():
            path = home / name
            for folder in list(path.relative_to(home).parents)[-2::-1]:
                (home / folder).mkdir(mode=0o700, exist_ok=True)
                os.chown(home / folder, owner.st_uid, owner.st_gid)
            path.write_bytes(content)
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
            written.append(path)
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def _own_ssh(known_hosts_alone: bool) -> dict[str, bytes]:
    """The worker's own keys and known hosts: what ssh would use without a sandbox."""
    try:
        folder = Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh"
        files = [path for path in folder.iterdir() if path.is_file()]
        return {
            f".ssh/{path.name}": path.read_bytes()
            for path in files
            if path.name == "known_hosts" or not known_hosts_alone
        }
    except (KeyError, OSError):
        return {}
