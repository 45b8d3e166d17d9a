"""The context of an image's build: our own files, and the checked out repository where the recipe needs one.

It is a tar in two parts. Ours comes first and has no end; the repository's was packed in the sandbox without any file
of our folder's name, so nothing of the repository can stand in the place of our Dockerfile.
"""

import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from microservice.catalog import dockerfile
from microservice.catalog.dockerfile import ContextFile

PIECE = 256 * 1024
_END = 2 * tarfile.BLOCKSIZE


def own_files(recipe: Mapping[str, Any], text: str) -> bytes:
    """Return our part as a tar without an end. `text`: the Dockerfile."""
    files = [ContextFile(dockerfile.NAME, text.encode()), *dockerfile.context_files(recipe)]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = {
            "/".join(file.name.split("/")[:depth]) for file in files for depth in range(1, file.name.count("/") + 1)
        }
        for name in sorted(folders):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for file in files:
            member = tarfile.TarInfo(file.name)
            member.size, member.mode = len(file.content), file.mode
            tar.addfile(member, io.BytesIO(file.content))
        end = tar.offset
    return target.getvalue()[:end]


def stream(own: bytes, repository: Path | None = None) -> Iterator[bytes]:
    """Yield the whole context. `repository`: the tar that `checkout.Git.context` made."""
    yield own
    if repository is None:
        yield bytes(_END)
        return
    with repository.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
