"""Which certificate authorities are trusted: the machine's and those of TLS_CA_FILE.

A server with a CA of its own in the settings is verified with that one alone. Only `verify: false` turns this off.
"""

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
    """Return a context that verifies a server's certificate and name. `ca`: PEM. Raise ssl.SSLError for a bad CA."""
    created = ssl.create_default_context(cadata=ca or None)
    if not ca and settings.TLS_CA_FILE:
        created.load_verify_locations(settings.TLS_CA_FILE)
    return created


def bundle() -> str:
    """Return the same authorities as PEM, for programs and libraries that take a file.

    "" where nothing was added: they know the machine's own by themselves.
    """
    if not settings.TLS_CA_FILE:
        return ""
    known = ssl.get_default_verify_paths().cafile
    paths = [path for path in (known, *_BUNDLES) if path and Path(path).is_file()][:1]
    return "\n".join(Path(path).read_text(errors="replace") for path in (*paths, settings.TLS_CA_FILE)) + "\n"
