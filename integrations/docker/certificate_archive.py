"""A CA, a certificate and a key out of one tar, as people have them: by the usual file names. Pure.

Nothing is written anywhere: of each name only its last part counts, and every size has a limit.
"""

import base64
import binascii
import io
import tarfile
import zlib

from messages import Message

MAX_ARCHIVE = 512 * 1024  # bytes, as it is sent
MAX_UNPACKED = 2 * 1024 * 1024
MAX_FILES = 200
MAX_TEXT = 64 * 1024  # bytes of one file
MAX_SHOWN = 300  # characters of the names in an error

NAMES = {
    "ca": ("ca.pem", "ca.crt", "ca.cert", "ca-cert.pem", "ca_cert.pem", "cacert.pem", "ca-certificates.crt"),
    "client_cert": (
        *("cert.pem", "client.pem", "client.crt", "client.cert", "client-cert.pem", "client_cert.pem"),
        *("cert.crt", "tls.crt", "certificate.pem"),
    ),
    "client_key": (
        *("key.pem", "client.key", "client-key.pem", "client_key.pem", "cert.key", "tls.key"),
        *("client.key.pem", "private.key"),
    ),
}
_FIELD_OF = {name: field for field, names in NAMES.items() for name in names}


class BadArchive(ValueError):
    """The archive cannot be used. `message` says why."""

    def __init__(self, code: str, **params: object):
        self.message = Message(code, params)
        super().__init__(code)


def unpacked(text: str) -> dict[str, str]:
    """Return {"ca", "client_cert", "client_key"} as PEM texts, "" for what is not there. `text`: base64 of a tar.

    Raise BadArchive.
    """
    if len(text) > MAX_ARCHIVE * 3 // 2:
        raise BadArchive("certificate_archive.size", max=MAX_ARCHIVE)
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadArchive("certificate_archive.base64") from None
    if len(raw) > MAX_ARCHIVE:
        raise BadArchive("certificate_archive.size", max=MAX_ARCHIVE)
    try:
        found, names = _read(_plain(raw))
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        if isinstance(error, BadArchive):
            raise
        raise BadArchive("certificate_archive.no_tar") from None
    missing = [field for field in ("client_cert", "client_key") if field not in found]
    if not found or len(missing) == 1:
        shown = ", ".join(names)[:MAX_SHOWN]
        wanted = "ca.pem" if not found else NAMES[missing[0]][0]
        raise BadArchive("certificate_archive.incomplete", wanted=wanted, found=shown or "—")
    return {field: found.get(field, "") for field in NAMES}


def _plain(raw: bytes) -> bytes:
    """Return the tar itself, also of one that gzip compressed."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    opener = zlib.decompressobj(wbits=31)
    plain = opener.decompress(raw, MAX_UNPACKED + 1)
    if len(plain) > MAX_UNPACKED:
        raise BadArchive("certificate_archive.size", max=MAX_UNPACKED)
    return plain


def _read(raw: bytes) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    names: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
        for member in tar:
            if member.isdir():
                continue
            name = member.name.rpartition("/")[2]
            names.append("".join(char if char.isprintable() else "?" for char in name))
            if len(names) > MAX_FILES:
                raise BadArchive("certificate_archive.files", max=MAX_FILES)
            if (field := _FIELD_OF.get(name.lower())) is None:
                continue
            if not member.isreg() or member.issparse() or ".." in member.name.split("/"):
                raise BadArchive("certificate_archive.kind", name=name)
            if field in found:
                raise BadArchive("certificate_archive.twice", field=field, name=name)
            if member.size > MAX_TEXT:
                raise BadArchive("certificate_archive.text_size", name=name, max=MAX_TEXT)
            found[field] = _text(tar, member, name)
    return found, names


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> str:
    file = tar.extractfile(member)
    raw = file.read(MAX_TEXT) if file else b""
    if len(raw) != member.size:
        raise BadArchive("certificate_archive.no_tar")
    text = raw.decode("ascii", "replace").replace("\r\n", "\n")
    if "-----BEGIN " not in text or not raw.isascii():
        raise BadArchive("certificate_archive.pem", name=name)
    return text
