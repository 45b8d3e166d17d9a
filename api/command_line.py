"""GET /deployctl.pyz: the command line as one file, for machines that have nothing but Python 3.9 or newer.

It is the same for everyone and holds no secret, so nobody has to sign in for it. The bytes depend on the code alone.
"""

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.http import require_safe

import deployctl

NAME = "deployctl.pyz"
MAX_AGE = 300  # seconds that a cache may keep it
_START = b"#!/usr/bin/env python3\n"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows: it says nothing, and is always the same


@require_safe
def download(request: HttpRequest) -> HttpResponse:
    content, etag = archive()
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={MAX_AGE}"}
    if etag in request.headers.get("If-None-Match", ""):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(
        content,
        content_type="application/zip",
        headers={**headers, "Content-Disposition": f'attachment; filename="{NAME}"'},
    )


@lru_cache(maxsize=1)
def archive() -> tuple[bytes, str]:
    """Return the file, as `python -m zipapp` makes one, and its ETag."""
    folder = Path(deployctl.__file__).parent
    target = io.BytesIO(_START)
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(folder.glob("*.py")):
            _add(pack, f"deployctl/{path.name}", path.read_bytes())
        _add(pack, "__main__.py", (folder / "__main__.py").read_bytes())
    content = target.getvalue()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _add(pack: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.external_attr = 0o644 << 16
    pack.writestr(entry, content, zipfile.ZIP_DEFLATED)
