"""The file system of a base image: a static busybox (scripts/static-busybox) and nothing else."""

import io
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path

from . import caches

CHANGES = ("ENV PATH=/bin:/usr/bin", 'CMD ["sh"]')
FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def busybox() -> Path:
    """Return the path of a static busybox."""
    cache = caches.folder() / "busybox"
    if not cache.exists():
        raise RuntimeError(f"there is no {cache}: scripts/test-packages fetches it")
    return cache


def archive(files: dict[str, str] | None = None) -> bytes:
    """Return a tar: busybox under the names of its programs, and `files` (path: text, executable)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for folder in ("bin", "etc", "usr", "usr/bin", "root", "tmp", "var"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(member)
        _add(tar, "bin/busybox", busybox().read_bytes())
        for name in _programs():
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for path, text in {**FILES, **(files or {})}.items():
            _add(tar, path, text.encode())
    return target.getvalue()


@lru_cache(maxsize=1)
def _programs() -> list[str]:
    said = subprocess.run([busybox(), "--list"], capture_output=True, text=True, check=True, timeout=10)
    return [name for name in said.stdout.split() if name != "busybox"]


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o755
    tar.addfile(member, io.BytesIO(content))
