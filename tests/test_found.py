"""Each kind of fault that was found in use has tests (found.py)."""

import re
from pathlib import Path

from tests.found import FOUND

TESTS = Path(__file__).parent


def test_each_kind_of_fault_has_tests():
    named = {
        kind for path in TESTS.rglob("test_*.py") for kind in re.findall(r'mark\.found\("(\w+)"\)', path.read_text())
    }
    assert named == set(FOUND)
