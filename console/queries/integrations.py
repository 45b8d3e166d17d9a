"""The revisions of the integration settings."""

from integrations import registry
from integrations.models import Setting

from .paging import PAGE, Page, newest_first


def revisions(after: str = "", size: int = PAGE) -> Page:
    """Return all revisions, newest first, each with its `parts` and those that it `changed`, by name. Two queries."""
    page = newest_first(Setting.objects.select_related("restored"), after, size)
    before = Setting.objects.filter(pk__lt=page.rows[-1].pk).order_by("-pk").first() if page.rows else None
    older = registry.document_of(before)
    for row in reversed(page.rows):
        document = registry.document_of(row)
        row.parts = [name for name in registry.PARTS if name in document]
        row.changed = [name for name in registry.PARTS if document.get(name) != older.get(name)]
        older = document
    return page
