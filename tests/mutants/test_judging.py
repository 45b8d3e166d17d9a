"""What counts as a mutant's end: a test that fails, at the latest when it runs for the third time."""

import subprocess

import pytest

from .__main__ import Copy, judge
from .protections import Mutant

pytestmark = pytest.mark.pure
MUTANT = Mutant(name="a race", promise=1, test="tests/x.py::test_x", changes=())
FAILED = "FAILED tests/x.py::test_x - AssertionError: two at once"


class Runs(Copy):
    """A copy whose test ends with each of the statuses in turn."""

    def __init__(self, *statuses: int):
        self._whole, self._statuses = {}, list(statuses)

    def test(self, *tests: str) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(tests, self._statuses.pop(0), FAILED, "")


@pytest.mark.parametrize("statuses", [(1,), (0, 1), (0, 0, 1)])
def test_mutant_that_one_run_of_three_notices_is_killed(statuses):
    verdict = judge(Runs(*statuses), MUTANT)
    assert verdict.killed and verdict.words.endswith("two at once")
    assert verdict.words.startswith(f"(at run {len(statuses)} of 3)") == (len(statuses) > 1), "a weak test is named"


@pytest.mark.parametrize("statuses", [(0, 0, 0), (2,), (0, 5)])
def test_mutant_that_no_run_notices_survives(statuses):
    """Nor does one count that ends the run itself: no test of it has failed."""
    assert not judge(Runs(*statuses), MUTANT).killed
