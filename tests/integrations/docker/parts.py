"""Settings of an engine of the lab, and what is sent to it."""

import io
import tarfile
from typing import Any

from access.secrets import Secret

EMPTY = {"url": "", "network": "", "tls": False, "ca": "", "client_cert": "", "client_key": "", "verify": True}


def part(url: str, **more: Any) -> dict[str, Any]:
    """Return the settings `docker` with every field."""
    return {**EMPTY, "url": url, **more}


def secure(engine, **more: Any) -> dict[str, Any]:
    """Return the settings that an engine of the lab accepts over TLS."""
    certificate, key = engine.client
    fields = {"ca": engine.ca, "client_cert": certificate, "client_key": Secret(key), **more}
    return part(engine.url, **fields)


def context(dockerfile: str, **files: str) -> bytes:
    """Return a build context: a tar with these files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return target.getvalue()
