"""Whether a build has secrets, and what is different then: BuildKit builds it, which mounts them for single steps.

The classic builder knows build arguments only, and the image's history keeps those. So a build with secrets goes to the
BuildKit that every engine since 20.10 has in it; its session hands them out (secret_session.py).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from access.secrets import Secret
from messages import Message

from .buildkit_log import Trace
from .engine import Engine, OnLine
from .errors import EngineFailed
from .secret_session import SecretSession

FOLDER = "/run/secrets"  # where a step finds each by its name
OLDEST = (1, 41)  # before it, only with a frontend that is pulled from Docker Hub
_NETWORKS = frozenset({"", "default", "none", "host"})  # BuildKit knows no other


@dataclass(frozen=True)
class Given:
    """How the build is asked for. `query`: what is added to its address."""

    query: str = ""

    def reader(self, on_line: OnLine) -> OnLine:
        """Return what takes the engine's lines and gives `on_line` the classic builder's."""
        if not self.query:
            return on_line
        trace = Trace()

        def take(line: dict) -> None:
            for each in trace.lines(line):
                on_line(each)

        return take


@contextmanager
def given(engine: Engine, network: str, secrets: Mapping[str, Secret], auth: Secret | None) -> Iterator[Given]:
    """Answer the engine's questions for these secrets during the block. Without any, nothing is different.

    Raise EngineFailed where this engine or its network for builds cannot do it.
    """
    if not secrets:
        yield Given()
        return
    if tuple(map(int, engine.api.split("."))) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineFailed(Message("engine_too_old_for_secrets", {"api": engine.api, "oldest": oldest}))
    if network not in _NETWORKS:
        raise EngineFailed(Message("engine_network_and_secrets", {"network": network}))
    with SecretSession(engine, secrets, auth) as session:
        yield Given("&" + urlencode({"version": 2, "session": session.id}))
