"""The output of a build at an engine: what its lines say, as text, masked and bounded. Pure."""

import re
from typing import Any

from access.masking import Mask, Stream
from messages import Message
from messages.rendering import english

MAX_TAIL_BYTES = 64 * 1024  # of the output, kept
_STEP = re.compile(r"Step \d+/\d+ : .*")
_COUNTDOWN = re.compile(r"Retrying in \d*[1-46-9] second")  # every second: five are enough
_OWN = (" --->", "Removing intermediate container", "Successfully built", "Successfully tagged", "[Warning]")
# Of each layer only how it ended: an engine reports every one several times.
_PASSING = frozenset({"Preparing", "Waiting", "Pulling fs layer", "Verifying Checksum", "Download complete"})


class EngineLog:
    """Take an engine's lines. `text` may be called by any thread.

    `step` and `said`: what the engine did last, and what that printed last.
    """

    def __init__(self, mask: Mask):
        self._stream, self._mask = Stream(mask), mask
        self._tail = bytearray()
        self._last = ""
        self.printed = 0  # bytes
        self.step: Message | str = ""
        self.said = ""

    def begin(self, step: Message) -> None:
        """Add a line of our own: what begins now."""
        self.step, self.said = step, ""
        self._add(f"==> {english(step)}\n")

    def line(self, line: dict[str, Any]) -> None:
        """Add what one of the engine's lines says."""
        if isinstance(text := line.get("stream"), str):
            self._note(text)
            self._add(text)
        elif isinstance(status := line.get("status"), str):
            name = line.get("id")
            text = f"{name}: {status}" if isinstance(name, str) and name else status
            is_passing = status in _PASSING or _COUNTDOWN.match(status)
            if not line.get("progressDetail") and not is_passing and text != self._last:
                self._last = text
                self._add(f"{text}\n")

    def close(self) -> str:
        """Return the end of the whole text."""
        self._keep(self._stream.flush())
        return self.text()

    def text(self) -> str:
        return bytes(self._tail).decode("utf-8", "replace").replace("\0", "�")

    def _note(self, text: str) -> None:
        for line in text.splitlines():
            if _STEP.match(line):
                self.step, self.said = self._mask.text(line[:200]), ""
            elif line.strip() and not line.startswith(_OWN):
                self.said = self._mask.text("".join(c if c.isprintable() else " " for c in line[:400]).strip())

    def _add(self, text: str) -> None:
        raw = text.encode("utf-8", "replace")
        self.printed += len(raw)
        self._keep(self._stream.feed(raw))

    def _keep(self, piece: bytes) -> None:
        self._tail += piece
        del self._tail[:-MAX_TAIL_BYTES]
