"""On a phone a row of a table is folded into lines: a number there says what it counts."""

import re
from pathlib import Path

from django.conf import settings

NUMBER = re.compile(r'<td\b[^>]*class="[^"]*\bnumber\b[^>]*>')


def test_every_number_has_its_name():
    templates = Path(settings.BASE_DIR, "templates").rglob("*.html")
    cells = [(path.name, cell) for path in templates for cell in NUMBER.findall(path.read_text())]
    assert len(cells) > 5
    assert [cell for cell in cells if "data-name=" not in cell[1]] == []
