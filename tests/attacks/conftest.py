"""One instance for all attacks, and the table of what was tried and what came of it."""

from collections.abc import Callable, Iterator

import pytest

from .caller import Meant
from .instance import Instance, running

KEY = "tried"


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    with running() as one:
        yield one


@pytest.fixture
def tried(request) -> Callable[..., None]:
    """`tried(what, answer, held)`: what was tried and how it was answered. `held` is whether that is a refusal; the
    test fails where it is none, and the table says so."""
    mark = request.node.get_closest_marker("entry")

    def note(what: str, answer: object, held: bool) -> None:
        came = f"expected: {answer}" if isinstance(answer, Meant) and not held else str(answer)
        request.node.user_properties.append((KEY, [mark.args[0], what, came, bool(held)]))
        assert held, f"got through: {what}: {answer}"

    return note


def pytest_terminal_summary(terminalreporter):
    reports = [report for some in terminalreporter.stats.values() for report in some]
    rows = sorted((row for report in reports for row in _rows(report)), key=lambda row: row[0])
    if not rows:
        return
    terminalreporter.section("attacks")
    widths = [max(len(row[column]) for row in rows) for column in (1, 2)]
    for _, entry, what, came in rows:
        terminalreporter.write_line(f"{entry:{widths[0]}}  {what:{widths[1]}}  {came}")
    through = sum(row[3].startswith("GOT THROUGH") for row in rows)
    terminalreporter.write_line(f"\n{len(rows)} tried, {len(rows) - through} refused, {through} got through")


def _rows(report) -> Iterator[tuple[int, str, str, str]]:
    """(order, entry, what was tried, what came of it) of a report; of a test that broke before it could say."""
    properties = [value for name, value in getattr(report, "user_properties", ()) if name == KEY]
    if getattr(report, "when", "") == "call":
        for entry, what, answer, held in properties:
            yield entry, str(entry), what, f"refused: {answer}" if held else f"GOT THROUGH: {answer}"
    if getattr(report, "failed", False) and all(held for *_, held in properties):
        yield 99, "?", report.nodeid.rpartition("::")[2], "GOT THROUGH, or the test broke: see above"
