"""Build from a git repository on the worker's machine: clone, run the command, pack the result.

Everything runs untrusted: in a sandbox (see `sandbox`), under limits on time, memory, processes, disk and output, and
without the worker's environment. The command is shell text of those who may change the service's build.
"""

import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from messages import Message
from microservice.catalog import building
from microservice.catalog.recipes import RESERVED

from . import credentials, refs, scripts
from .providers import BuildRefused, BuildTimedOut, Job, ProviderUnreachable, with_words
from .sandbox.commands import OFF
from .sandbox.holding import Hold, Unheld
from .sandbox.layout import Mount
from .sandbox.means import SandboxSupport
from .sandbox.running import Command, CommandFailed, Run
from .sandbox.watching import DEFAULT, Limits

LIST_REFS_TIMEOUT = 30  # seconds for listing the refs of a repository
MAX_REFS_BYTES = 64 * 1024**2  # of a repository's list of branches and tags
_NOT_REACHED, _NOT_KNOWN = 42, 129  # exit statuses of scripts.REACHES; the second is git's own
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")
# A repository owned by another user may be read: reading it runs nothing in it.
_AUTHORITIES = "authorities.pem"
_CONFIG = b"[safe]\n\tdirectory = *\n"


@dataclass(frozen=True)
class Git:
    """`protocols`: those allowed for git (https, ssh; file only if GIT_ALLOWED_PROTOCOLS has it). `proxies`: variables
    of the environment; default: those of this process. `tools`: paths that builds may read besides the system's.
    `authorities`: trusted CA certificates in PEM; default: those of the machine."""

    protocols: tuple[str, ...]
    support: SandboxSupport
    limits: Limits = DEFAULT
    proxies: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    authorities: str = ""

    def commit(self, job: Job, hold: Hold | None = None) -> str:
        """Return the commit that the ref points at. `hold` may raise.

        Raise BuildRefused if there is no such ref or no branch or tag that may be built contains it, and
        ProviderUnreachable without an answer.
        """
        self.check(job)
        hold = hold or Unheld()
        with self._run(job, hold, min(self.limits.seconds, LIST_REFS_TIMEOUT)) as run:
            listed = self._listed(run, job)
        if not _COMMIT.match(job.ref):
            return refs.commit_of(job.ref, listed, job.refs)
        built = refs.matching(listed, job.refs)
        if job.ref not in built.values():
            self._check_reach(job, sorted(built), hold)
        return job.ref

    def check(self, job: Job) -> None:
        """Raise BuildRefused for values that must never reach git."""
        if reason := self.support.refusal():
            raise BuildRefused(reason)
        if _scheme(job.url) not in self.protocols or job.url.startswith("-") or any(ord(char) < 33 for char in job.url):
            raise BuildRefused("build_url_invalid.protocol", protocols=list(self.protocols))
        if not building.is_ref(job.ref):
            raise BuildRefused("ref_invalid", ref=job.ref)

    @contextmanager
    def built(self, job: Job, commit: str, hold: Hold) -> Iterator[Path]:
        """Build, and yield the package as a file. `hold` gets the end of the output, and may raise.

        Raise BuildRefused (the build failed), BuildTimedOut, ProviderUnreachable, or what `hold` raises.
        """
        with self._run(job, hold, self.limits.seconds) as run:
            self._check_out(run, job, commit)
            out = run.inside("work/out")
            secrets = {name: secret.reveal() for name, secret in job.secrets.items()}
            environment = (
                secrets
                | _clean(run, "home")
                | dict(self.proxies)
                | job.variables()
                | {"VERSION": job.version, "REF": job.ref, "COMMIT": commit, "OUT": out}
            )
            run.execute(
                Command(
                    Message("build_step.command"),
                    ["/bin/sh", "-c", job.command],
                    environment,
                    run.inside("work/source"),
                    (run.home("home"),),
                    network=True,
                )
            )
            package = run.folder / "package.tar.gz"
            # The worker creates the file, and the build only fills it: a link made by the build leads nowhere.
            with package.open("xb") as file:
                words = ["sh", "-c", scripts.PACK, "sh", run.inside("work/source"), out]
                run.execute(
                    Command(Message("build_step.pack"), words, _clean(run, "tmp"), run.inside("tmp"), output=file)
                )
            yield package

    @contextmanager
    def context(self, job: Job, commit: str, paths: Sequence[str], hold: Hold) -> Iterator[Path]:
        """Yield these paths of the repository ("." is all of it, without .git) as a tar, which nothing has run in.

        Raise as `built` does.
        """
        with self._run(job, hold, self.limits.seconds) as run:
            self._check_out(run, job, commit)
            context = run.folder / "context.tar"
            with context.open("xb") as file:
                words = ["sh", "-c", scripts.CONTEXT, "sh", run.inside("work/source"), RESERVED, *paths]
                step = Message("build_step.context")
                run.execute(Command(step, words, _clean(run, "tmp"), run.inside("tmp"), output=file))
            yield context

    def _check_out(self, run: Run, job: Job, commit: str) -> None:
        self._execute(run, job, "fetch", scripts.FETCH, [job.url, commit, str(job.depth)], "work/source")
        self._execute(run, job, "complete", scripts.COMPLETE, [str(job.depth)], "work/source")

    def _run(self, job: Job, hold: Hold, seconds: float) -> Run:
        limits = Limits(
            seconds,
            self.limits.memory,
            self.limits.disk,
            self.limits.processes,
            self.limits.file_size,
            self.limits.output,
        )
        return Run(self.support.way, self.tools, limits, hold, self.support.base, job.mask())

    def _listed(self, run: Run, job: Job) -> dict[str, str]:
        with (run.folder / "refs").open("x+b") as file:
            try:
                self._execute(run, job, "list_refs", scripts.LIST_REFS, [job.url], "tmp", file)
            except BuildTimedOut as error:
                raise ProviderUnreachable("repository_unreachable.timeout") from error
            except CommandFailed as error:
                raise ProviderUnreachable(with_words("repository_unreachable", error.last_line)) from error
            except BuildRefused as error:
                raise ProviderUnreachable("repository_unreachable.said", words=error.message) from error
            file.seek(0)
            return refs.listed(file.read(MAX_REFS_BYTES))

    def _check_reach(self, job: Job, names: list[str], hold: Hold) -> None:
        """Raise BuildRefused unless one of these branches and tags contains the commit."""
        refused = BuildRefused("commit_not_built", commit=job.ref[:12])
        if not names:
            raise refused
        with self._run(job, hold, self.limits.seconds) as run:
            wanted = run.folder / "wanted"
            wanted.write_text("".join(f"+{name}:refs/reach/{number}\n" for number, name in enumerate(names)))
            wanted.chmod(0o644)
            inside = str(wanted) if self.support.means == OFF else f"{run.inside('tmp')}/wanted"
            try:
                self._execute(
                    run,
                    job,
                    "fetch",
                    scripts.REACHES,
                    [job.url, job.ref, inside],
                    "tmp",
                    mounts=(Mount(str(wanted), inside),),
                )
            except CommandFailed as error:
                if error.status in (_NOT_REACHED, _NOT_KNOWN):
                    raise refused from error
                raise

    def _execute(
        self,
        run: Run,
        job: Job,
        step: str,
        script: str,
        words: list[str],
        cwd: str,
        output: IO[bytes] | None = None,
        mounts: tuple[Mount, ...] = (),
    ) -> None:
        """Run git with the credential of the repository. The build command sees none of it."""
        opened = credentials.opened(job.credential, job.url, run.inside("git-home"), self._git(run))
        own = {_AUTHORITIES: self.authorities.encode()} if self.authorities else {}
        with _access(run, job, own | dict(opened.files)):
            run.execute(
                Command(
                    Message(f"build_step.{step}"),
                    ["sh", "-c", script, "sh", *words],
                    opened.environment,
                    run.inside(cwd),
                    (run.home("git-home"), *_repository(job), *mounts),
                    network=True,
                    output=output,
                )
            )

    def proxy_variables(self) -> dict[str, str]:
        """Return the proxies for git: those of the settings, or else those of this process."""
        ours = {name: os.environ[name] for name in ("https_proxy", "no_proxy") if name in os.environ}
        return dict(self.proxies) or ours

    def _git(self, run: Run) -> dict[str, str]:
        """Return git's environment: no prompts, no configuration of other users, only the allowed protocols."""
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
    """Return what git needs from this machine: the repository if it is a folder, the agent's socket for ssh."""
    scheme = _scheme(job.url)
    if scheme == "file":
        path = os.path.normpath(job.url.removeprefix("file://"))
        return (Mount(path, path),) if Path(path).is_dir() else ()
    agent = os.environ.get("SSH_AUTH_SOCK", "")
    return (Mount(agent, agent),) if scheme == "ssh" and job.own_keys and agent and Path(agent).exists() else ()


@contextmanager
def _access(run: Run, job: Job, opening: Mapping[str, bytes]) -> Iterator[None]:
    """Keep the credential files in git's own home while git runs."""
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
    """Return the worker's own keys and known hosts: the files that ssh would use without a sandbox."""
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
