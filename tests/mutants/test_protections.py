"""The list of mutants fits the code. What they show takes longer: `make mutants`."""

import re
from collections import Counter
from pathlib import Path

import pytest

from .protections import MUTANTS

pytestmark = pytest.mark.pure

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_text_stands_once(mutant):
    for change in mutant.changes:
        assert (ROOT / change.file).read_text().count(change.old) == 1, change
        assert change.new != change.old


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_names_an_existing_test(mutant):
    file, _, name = mutant.test.partition("::")
    assert f"\ndef {name.partition('[')[0]}(" in (ROOT / file).read_text()
    assert 1 <= mutant.promise <= 28


def test_names_are_unique():
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1
    assert len(MUTANTS) >= 14


def test_page_on_reliability_names_mutants_and_tests():
    page = (ROOT / "docs" / "reliability.md").read_text()
    sections = dict(re.findall(r"^### (\d+)\. (.*?)(?=^##)", page, re.MULTILINE | re.DOTALL))
    assert set(range(1, 22)) <= set(map(int, sections)) <= set(range(1, 29))
    for mutant in MUTANTS:
        assert f"*{mutant.name}*" in " ".join(sections[str(mutant.promise)].split()), mutant.name
    for file, name in re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", page):
        assert f"\ndef {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
    for file in re.findall(r"`((?:access|deployer|microservice)/[a-z_/]+\.(?:py|sh))`", page):
        assert (ROOT / file).is_file(), file
