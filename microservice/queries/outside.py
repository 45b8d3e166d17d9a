"""What was set of the outside world, over time."""

from outside import parts
from outside.models import Setting

from .paging import Page, newest_first


def past(after: str = "") -> Page:
    """Every document that ever held, newest first, each with `changed` and `parts` (names). Two queries."""
    page = newest_first(Setting.objects.select_related("restored"), after)
    before = Setting.objects.filter(pk__lt=page.rows[-1].pk).order_by("-pk").first() if page.rows else None
    older = parts.document_of(before)
    for row in reversed(page.rows):
        document = parts.document_of(row)
        row.parts = [name for name in parts.PARTS if name in document]
        row.changed = [name for name in parts.PARTS if document.get(name) != older.get(name)]
        older = document
    return page
