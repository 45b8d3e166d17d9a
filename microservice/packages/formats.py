"""Recognises bytes by their beginning: a supported archive, or what they are instead and how to create a package."""

from collections.abc import Callable

from messages import Message

from . import headers
from .errors import BadArchive
from .headers import BLOCK, ZEROS
from .streams import Bzip2, Gzip, Stream, Xz

MAGIC_BYTES = BLOCK  # of the beginning, enough to recognise every format
ZIP = b"PK\x03\x04"
_COMPRESSED: tuple[type[Stream], ...] = (Gzip, Bzip2, Xz)
_GZIP = "| gzip > package.tar.gz"
_FOLDER = "tar -czf package.tar.gz -C FOLDER ."
# What a pipeline may have sent instead: how it begins, the code of its name, and the command that creates a package.
_OTHER_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x28\xb5\x2f\xfd", "format.zstd", f"zstd -dc package.tar.zst {_GZIP}"),
    (b"\x04\x22\x4d\x18", "format.lz4", f"lz4 -dc package.tar.lz4 {_GZIP}"),
    (b"LZIP", "format.lzip", f"lzip -dc package.tar.lz {_GZIP}"),
    (b"\x89LZO", "format.lzop", f"lzop -dc package.tar.lzo {_GZIP}"),
    (b"\x1f\x9d", "format.compress", f"zcat package.tar.Z {_GZIP}"),
    (b"\x5d\0\0", "format.lzma", f"xz -dc --format=lzma package.tar.lzma {_GZIP}"),
    (b"7z\xbc\xaf\x27\x1c", "format.7z", f"7z x -oFOLDER package.7z && {_FOLDER}"),
    (b"Rar!\x1a\x07", "format.rar", f"unrar x package.rar FOLDER/ && {_FOLDER}"),
    (b"PK\x05\x06", "format.empty_zip", _FOLDER),
    (b"PK\x07\x08", "format.split_zip", _FOLDER),
    (b"!<arch>\ndebian", "format.deb", f"dpkg-deb --fsys-tarfile package.deb {_GZIP}"),
    (b"!<arch>", "format.ar", _FOLDER),
    (b"\xed\xab\xee\xdb", "format.rpm", "rpm2archive - < package.rpm > package.tar.gz"),
    (b"070701", "format.cpio", f"cpio -id -D FOLDER < package.cpio && {_FOLDER}"),
    (b"version https://git-lfs.github.com/spec/", "format.git_lfs", "git lfs pull"),
    (b"\x7fELF", "format.elf", "tar -czf package.tar.gz PROGRAM"),
    (b"MZ", "format.exe", "tar -czf package.tar.gz PROGRAM"),
    (b"#!", "format.script", "tar -czf package.tar.gz SCRIPT"),
    (b"\x89PNG", "format.png", _FOLDER),
    (b"\xff\xd8\xff", "format.jpeg", _FOLDER),
    (b"GIF8", "format.gif", _FOLDER),
    (b"%PDF", "format.pdf", _FOLDER),
)


def open_tar(begin: bytes, read: Callable[[], bytes]) -> Stream:
    """Return the tar archive that begins with `begin`, unpacked while `read` supplies it.

    Raise BadArchive, which names the format, for everything else.
    """
    for kind in _COMPRESSED:
        if begin.startswith(kind.magic):
            stream = kind(read)
            inside = stream.first(MAGIC_BYTES)
            if not _is_tar(inside):
                name, command = recognise(inside)
                raise BadArchive("bad_package.compressed", compression=kind.compression, format=name, command=command)
            return stream
    if not _is_tar(begin):
        name, command = recognise(begin)
        raise BadArchive("bad_package.format", format=name, command=command)
    return Stream(read)


def _is_tar(begin: bytes) -> bool:
    """Return whether a tar archive may begin so. One without any member is rejected later."""
    return begin == ZEROS or headers.is_header(begin)


def recognise(begin: bytes) -> tuple[Message, str]:
    """Return the name of a format that is not supported, and a command that creates a package. Quotes none of it."""
    for mark, code, command in _OTHER_FORMATS:
        if begin.startswith(mark):
            return Message(code), command
    for kind in _COMPRESSED:
        if begin.startswith(kind.magic):
            return Message(
                "format.compressed", {"compression": kind.compression}
            ), f"{kind.compression} -dc FILE > package.tar.gz"
    if begin.startswith(ZIP):
        return Message("format.zip"), "unzip -d FOLDER FILE && " + _FOLDER
    if not begin:
        return Message("format.empty"), _FOLDER
    if not begin.strip(b"\0"):
        return Message("format.zeros"), _FOLDER
    return _document(begin)


def _document(begin: bytes) -> tuple[Message, str]:
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Message("format.html"), _FOLDER
    if text.startswith(b"<"):
        return Message("format.xml"), _FOLDER
    if text.startswith((b"{", b"[")):
        return Message("format.json"), _FOLDER
    if _is_text(begin):
        return Message("format.text"), "tar -czf package.tar.gz FILE"
    return Message("format.unknown"), _FOLDER


def _is_text(begin: bytes) -> bool:
    text = begin.decode("utf-8", "ignore")
    return len(text.encode()) > len(begin) - 4 and all(char.isprintable() or char in "\t\r\n\f" for char in text)
