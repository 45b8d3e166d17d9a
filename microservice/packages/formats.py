"""What bytes are, by their beginning: an archive that is taken, or what they are instead and how a good one is made."""

from collections.abc import Callable

from . import headers
from .errors import BadArchive
from .headers import BLOCK, ZEROS
from .streams import Bzip2, Gzip, Stream, Xz

LOOK = BLOCK  # bytes that it takes
ZIP = b"PK\x03\x04"
_PACKED: tuple[type[Stream], ...] = (Gzip, Bzip2, Xz)
_GZIP = "| gzip > package.tar.gz"
_FOLDER = "tar -czf package.tar.gz -C FOLDER ."
# What a pipeline may have made instead: its mark, what it is, and the command for a good one.
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", f"zstd -dc package.tar.zst {_GZIP}"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", f"lz4 -dc package.tar.lz4 {_GZIP}"),
    (b"LZIP", "an lzip file", f"lzip -dc package.tar.lz {_GZIP}"),
    (b"\x89LZO", "an lzop file", f"lzop -dc package.tar.lzo {_GZIP}"),
    (b"\x1f\x9d", "a file of compress", f"zcat package.tar.Z {_GZIP}"),
    (b"\x5d\0\0", "an LZMA file", f"xz -dc --format=lzma package.tar.lzma {_GZIP}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", f"7z x -oFOLDER package.7z && {_FOLDER}"),
    (b"Rar!\x1a\x07", "a RAR archive", f"unrar x package.rar FOLDER/ && {_FOLDER}"),
    (b"PK\x05\x06", "a zip archive without any file", _FOLDER),
    (b"PK\x07\x08", "one part of a zip archive that was split", _FOLDER),
    (b"!<arch>\ndebian", "a Debian package", f"dpkg-deb --fsys-tarfile package.deb {_GZIP}"),
    (b"!<arch>", "an ar archive (a static library)", _FOLDER),
    (b"\xed\xab\xee\xdb", "an RPM package", "rpm2archive - < package.rpm > package.tar.gz"),
    (b"070701", "a cpio archive", f"cpio -id -D FOLDER < package.cpio && {_FOLDER}"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file it stands for", "git lfs pull"),
    (b"\x7fELF", "an executable (ELF), not an archive", "tar -czf package.tar.gz PROGRAM"),
    (b"MZ", "a Windows executable, not an archive", "tar -czf package.tar.gz PROGRAM"),
    (b"#!", "a script, not an archive", "tar -czf package.tar.gz SCRIPT"),
    (b"\x89PNG", "an image (PNG)", _FOLDER),
    (b"\xff\xd8\xff", "an image (JPEG)", _FOLDER),
    (b"GIF8", "an image (GIF)", _FOLDER),
    (b"%PDF", "a PDF document", _FOLDER),
)


def opened(begin: bytes, read: Callable[[], bytes]) -> Stream:
    """The tar archive that begins so, unpacked while `read` gives it. Raises BadArchive for whatever else it is."""
    for kind in _PACKED:
        if begin.startswith(kind.magic):
            stream = kind(read)
            inside = stream.first(LOOK)
            if not _is_tar(inside):
                raise _refused(inside, f"it is {kind.called} of something else than a tar archive: ")
            return stream
    if not _is_tar(begin):
        raise _refused(begin, "it is ")
    return Stream(read)


def _is_tar(begin: bytes) -> bool:
    """Whether a tar archive may begin so; one without any member is told apart later."""
    return begin == ZEROS or headers.is_header(begin)


def _refused(begin: bytes, words: str) -> BadArchive:
    what, command = described(begin)
    return BadArchive(words + what, f"This makes a good one: {command}")


def described(begin: bytes) -> tuple[str, str]:
    """What bytes that are no archive are, in words, and a command that makes a package. Nothing of them is repeated."""
    for mark, what, command in _OTHERS:
        if begin.startswith(mark):
            return what, command
    for kind in _PACKED:
        if begin.startswith(kind.magic):
            return f"{kind.called} once more", f"{kind.called} -dc FILE > package.tar.gz"
    if begin.startswith(ZIP):
        return "a zip archive", "unzip -d FOLDER FILE && " + _FOLDER
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not begin:
        return "empty", _FOLDER
    if not begin.strip(b"\0"):
        return "nothing but zeros", _FOLDER
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML): perhaps one that says why there was nothing to download", _FOLDER
    if text.startswith(b"<"):
        return "an XML document", _FOLDER
    if text.startswith((b"{", b"[")):
        return "a JSON document: perhaps one that says why there was nothing to download", _FOLDER
    if _is_text(begin):
        return "a text, not an archive", "tar -czf package.tar.gz FILE"
    return "of no format that is known here, or corrupt", _FOLDER


def _is_text(begin: bytes) -> bool:
    text = begin.decode("utf-8", "ignore")
    return len(text.encode()) > len(begin) - 4 and all(one.isprintable() or one in "\t\r\n\f" for one in text)
