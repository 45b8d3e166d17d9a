"""What a form sends that changes all that a list's filter means."""

from django.db.models import QuerySet

from console.queries.paging import fingerprint


def all_of(rows: QuerySet) -> dict[str, str]:
    """Return the fields of a list that shows these rows."""
    ids = list(rows.values_list("pk", flat=True))
    return {"all": str(len(ids)), "matching": fingerprint(ids)}
