"""The first page is small: with its styles and scripts at most 40 KB arrive before it is shown."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests import factories

pytestmark = pytest.mark.django_db
MAX_SIZE = 40_000  # bytes, compressed


def compressed(content: bytes) -> int:
    return len(gzip.compress(content, 9))


def first_view(client) -> dict[str, int]:
    """Return the size of the first page, and of each style and script that it loads."""
    page = client.get("/").content
    sizes = {"/": compressed(page)}
    for address in re.findall(rb'<(?:link rel="stylesheet"|script)[^>]* (?:href|src)="([^"]+)"', page):
        path = address.decode()
        found = finders.find(path.removeprefix("/static/")) if path.startswith("/static/") else None
        sizes[path] = compressed(Path(found).read_bytes() if found else client.get(path).content)
    return sizes


def test_first_page_is_small(admin):
    for number in range(60):
        service = factories.service(f"order-service-{number:03}", description="Takes orders, and sends them on")
        _, version, _ = factories.versions(service, 3)
        version.version = f"20261127{number:06}-master-{number * 7919:07x}"
        version.save()
        factories.instances(version, factories.hosts(1, f"n{number}-"))
    admin.post("/services/order-service-007/favourite/", {"on": "1"})
    sizes = first_view(admin)
    assert len(sizes) > 8 and sum(sizes.values()) <= MAX_SIZE, sizes
