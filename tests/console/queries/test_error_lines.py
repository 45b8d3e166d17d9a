"""The line that names the cause on pages, and tables on phones."""

import re

import pytest

from console.queries import operations
from microservice.models import Operation
from microservice.status import OperationStatus
from tests import factories
from tests.lab.worker import ROOT


@pytest.mark.found("output")
def test_tables_fold_or_scroll():
    """One that does neither squeezes its columns there until each letter of a version has a line of its own."""
    tables = [
        (path.name, found[1])
        for path in (ROOT / "templates").rglob("*.html")
        for found in re.finditer(r"<table([^>]*)>", path.read_text())
        if path.name != "api_errors.html"
    ]
    assert len(tables) > 20
    assert not [one for one in tables if not re.match(' class="(fold|matrix)\\b', one[1])]


@pytest.mark.django_db
@pytest.mark.found("removal")
def test_undone_install_has_no_previous_version(admin):
    row = factories.running().operations.get()
    page = f"/operations/{row.pk}/"
    Operation.objects.filter(pk=row.pk).update(status=OperationStatus.UNDONE, error="no", error_step="start")
    assert "The previous version is running" in admin.get(page).content.decode()
    Operation.objects.filter(pk=row.pk).update(from_version=None)
    html = admin.get(page).content.decode()
    assert "The previous version is running" not in html and "The service is not installed on this host" in html


@pytest.mark.django_db
@pytest.mark.found("output")
def test_says_where_error_line_is_cut():
    row = factories.running().operations.get()
    frames = b"".join(b"\rpull %3d%% %s" % (number, b"=" * 100) for number in range(200))
    factories.output(row, frames + b"\rdocker: no space left on device\n")
    row.error, row.error_step = "start failed with exit status 125: docker: no space left on device", ""
    assert operations.error_lines(row) == (1, "… docker: no space left on device")
    short = factories.running(name="blog").operations.get()
    factories.output(short, b"a\rb\n")
    short.error = "start failed: b"
    assert operations.error_lines(short) == (1, "a\rb")
