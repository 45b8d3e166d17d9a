"""Packages to deploy: the same files each time, and one with the version."""

import base64
import gzip
import io
import random
import tarfile
from functools import cache
from pathlib import Path

FILES = 40
PACKED = 0.76  # what gzip leaves of base64 text


@cache
def _content(size: int) -> list[bytes]:
    source = random.Random(1)
    each = int(size / PACKED / FILES)
    return [base64.b64encode(source.randbytes(each * 3 // 4)) for _ in range(FILES)]


def make(folder: Path, version: str, size: int = 1 << 20) -> Path:
    """Make a .tar.gz of about `size` bytes with FILES files and VERSION."""
    archive = io.BytesIO()
    files = {f"lib/file{number:03}.txt": text for number, text in enumerate(_content(size))}
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in (files | {"VERSION": f"{version}\n".encode()}).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text))
    path = folder / f"{version}.tar.gz"
    path.write_bytes(gzip.compress(archive.getvalue(), 1))
    return path
