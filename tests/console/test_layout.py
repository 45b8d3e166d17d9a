"""What holds for the layout of every page."""
import re

import pytest

from tests.lab.worker import ROOT


@pytest.mark.found("output")
def test_every_table_folds_on_a_phone_or_scrolls_by_itself():
    """One that does neither squeezes its columns there until each letter of a version has a line of its own."""
    tables = [(path.name, found[1]) for path in (ROOT / "templates").rglob("*.html")
              for found in re.finditer(r"<table([^>]*)>", path.read_text()) if path.name != "api_errors.html"]
    assert len(tables) > 20
    assert not [one for one in tables if one[1] not in (' class="fold"', ' class="matrix"')]
