"""Whom the system believes where TLS is spoken: the machine's authorities and those of TLS_CA_FILE, or, where a server
has a CA of its own in the settings, that one alone. Never nobody, unless a setting of that server says so."""

import ssl
from pathlib import Path

from django.conf import settings

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def context(ca: str = "") -> ssl.SSLContext:
    """What verifies a server's certificate and name. `ca`: PEM. Raises ssl.SSLError for a CA that is none."""
    made = ssl.create_default_context(cadata=ca or None)
    if not ca and settings.TLS_CA_FILE:
        made.load_verify_locations(settings.TLS_CA_FILE)
    return made


def bundle() -> str:
    """The same authorities as one PEM text, for programs and libraries that take a file: "" where they know them by
    themselves, because nothing was added."""
    if not settings.TLS_CA_FILE:
        return ""
    known = ssl.get_default_verify_paths().cafile
    paths = [path for path in (known, *_BUNDLES) if path and Path(path).is_file()][:1]
    return "\n".join(Path(path).read_text(errors="replace") for path in (*paths, settings.TLS_CA_FILE)) + "\n"
