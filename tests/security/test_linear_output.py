"""What hosts and builds print is shown in time that grows with its length, whatever it is made of."""

import pytest

from builds.sandbox.running import last_line
from deployer.engine.journal import JournalReader
from microservice.models import Output
from microservice.output import lines, logs, terminal
from tests import factories
from tests.security.linear import grows_linearly

UNITS = (
    "\x1b[31m",
    "\x1b[m",
    "\x1b]8;;x",
    "\x1b]",
    "\x1b",
    "\x9b1;",
    "\r\n",
    "\r",
    "\n",
    "\u202e",
    "&<>\"'",
    "a",
    "\x1b[" + "1;" * 40 + "m",
    "é",
    "\x00",
    "\x1bP",
    "//",
    "//a@",
    "\x1b[1mx\x1b[22m",
)
SIZES = (16_384, 65_536)


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
@pytest.mark.parametrize(
    "show",
    [
        terminal.render,
        terminal.plain,
        last_line,
        lambda text: (
            logs.SearchTerm("error").finditer(text.encode()) and list(logs.pattern_of("ä").finditer(text.encode()))
        ),
    ],
    ids=["render", "plain", "last line", "search"],
)
def test_text_is_shown_in_linear_time(show, unit):
    assert grows_linearly(show, lambda n: unit * (n // len(unit)), SIZES)


@pytest.mark.parametrize(
    "unit", [b"\n", b"@n 1 1 begun - - -\t\t\t\n", b"@n ", b"x" * 9000, b"\t", b"@n 1 1 begun -\t\t\n"], ids=ascii
)
@pytest.mark.parametrize("piece", [1, 100, 65_536])
def test_events_are_read_in_linear_time(unit, piece):
    def read(data):
        reader = JournalReader("n")
        for at in range(0, len(data), piece):
            reader.feed(data[at : at + piece])

    sizes = (4096, 16_384) if piece == 1 else (65_536, 262_144)
    assert grows_linearly(read, lambda n: unit * (n // len(unit) + 1), sizes)


@pytest.mark.django_db
def test_output_window_is_joined_once(monkeypatch):
    """By what is copied, and not by the clock: every byte of it once."""
    joined = []
    monkeypatch.setattr(logs, "read", lambda *a: iter(_Counted(joined, bytes([65])) for _ in range(20_000)))
    made = factories.running().operations.get()
    Output.objects.create(operation=made, start=0, line=0, data=b"A" * 20_000)
    window = lines.window(made.pk, 1, whole=True)
    assert window.lines[0][1] == b"A" * lines.MAX_LINE_BYTES and not joined


class _Counted(bytes):
    """A piece that tells where it is added to another by itself."""

    def __new__(cls, told, data):
        made = super().__new__(cls, data)
        made.told = told
        return made

    def __radd__(self, other):
        self.told.append(len(other))
        return bytes(other) + bytes(self)
