"""Which branches and tags are built."""

import time

import pytest

from builds import refs
from microservice.catalog import ref_patterns
from tests.lab.busy import within

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("main", "main", True),
        ("mains", "main", False),
        ("release/1.2", "release/*", True),
        ("release", "release/*", False),
        ("v1", "v?", True),
        ("v12", "v?", False),
        ("a/b/c", "a*c", True),
        ("", "*", True),
        ("x", "", False),
        ("aab", "*ab", True),
    ],
)
def test_matches_patterns(text, pattern, fits):
    assert ref_patterns.fits(text, pattern) is fits


def test_patterns_match_in_linear_time():
    began = time.monotonic()
    assert not ref_patterns.fits("a" * 255, "*a" * 60 + "b")
    assert time.monotonic() - began < within(0.5)


def test_lists_branches_and_peeled_tags():
    raw = b"1\trefs/heads/main\n2\trefs/tags/v1\n3\trefs/tags/v1^{}\n4\trefs/pull/1/head\n5\tHEAD\nnonsense\n"
    assert refs.listed(raw) == {"refs/heads/main": "1", "refs/tags/v1": "3"}
