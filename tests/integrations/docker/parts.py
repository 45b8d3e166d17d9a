"""Settings of an engine of the lab, and what is sent to it."""

import io
import tarfile
from typing import Any

from access.secrets import Secret

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
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


def member(name: str, text: str | bytes = PEM, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a tar: its header, and its content."""
    raw = text.encode() if isinstance(text, str) else text
    info = tarfile.TarInfo(name)
    info.size = len(raw)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, raw


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for info, raw in members:
            archive.addfile(info, io.BytesIO(raw))
    return target.getvalue()


def archive_of(lab, form: str = "{}") -> bytes:
    """Return a tar of what an engine of the lab wants. `form`: of the files' names."""
    certificate, key = lab.client
    names = zip(("ca.pem", "cert.pem", "key.pem"), (lab.ca, certificate, key), strict=True)
    return tar(*(member(form.format(name), text) for name, text in names))
