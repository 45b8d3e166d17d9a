"""What BuildKit says about a build, in the words of the classic builder: so one reader takes both. Pure.

Each line `moby.buildkit.trace` holds a StatusResponse in base64: vertexes (steps), and what they print.
"""

import base64
import codecs
import re
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any

from .protobuf import Malformed, fields, first

TRACE = "moby.buildkit.trace"
_VERTEX, _LOG = 1, 3  # of StatusResponse
_DIGEST, _NAME, _CACHED, _STARTED, _ERROR = 1, 3, 4, 5, 7  # of Vertex
_OF, _TEXT = 1, 4  # of VertexLog: which vertex, and the bytes
_STEP = re.compile(r"\[(?:[^\]]* )?(\d{1,4}/\d{1,4})\] (.*)", re.DOTALL)
_INTERNAL = ("[internal] ", "copy /context ")  # how it takes the Dockerfile and the context


class Trace:
    """Translate one build's lines. A step is said once, when it begins; what it prints keeps its order."""

    def __init__(self) -> None:
        self._said: set[bytes] = set()
        self._cached: set[bytes] = set()
        self._decoders: dict[bytes, codecs.IncrementalDecoder] = {}

    def lines(self, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield lines as the classic builder sends them; any other line as it is."""
        if line.get("id") != TRACE:
            yield line
            return
        try:
            for number, raw in fields(base64.b64decode(line.get("aux") or "")):
                if number == _VERTEX and isinstance(raw, bytes):
                    yield from self._vertex(raw)
                elif number == _LOG and isinstance(raw, bytes):
                    yield from self._printed(raw)
        except (Malformed, ValueError, TypeError):
            return  # a newer engine's: the build itself does not depend on it

    def _vertex(self, raw: bytes) -> Iterator[dict[str, Any]]:
        about = dict(fields(raw))
        digest, name = first(raw, _DIGEST), first(raw, _NAME).decode("utf-8", "replace")
        if name.startswith(_INTERNAL):
            return
        if _STARTED in about and digest not in self._said:
            self._said.add(digest)
            step = _STEP.match(name)
            yield {"stream": f"Step {step[1]} : {_shown(step[2])}\n" if step else f" ---> {name}\n"}
        if about.get(_CACHED) and digest not in self._cached:
            self._cached.add(digest)
            yield {"stream": " ---> Using cache\n"}

    def _printed(self, raw: bytes) -> Iterator[dict[str, Any]]:
        decoder = self._decoders.setdefault(first(raw, _OF), codecs.getincrementaldecoder("utf-8")("replace"))
        if text := decoder.decode(first(raw, _TEXT)):
            yield {"stream": text}


def _shown(instruction: str) -> str:
    """Return an instruction as one line, without what is mounted for it."""
    first, *words = instruction.split() or [""]
    return " ".join([first, *dropwhile(lambda word: word.startswith("--mount="), words)])
