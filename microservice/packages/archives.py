"""Looks through a .tar.gz while it streams by: whether it is whole, and whether anything in it leads outside.

Hosts unpack with their own tar, so nothing may pass here that another tar could read in another way: no data behind
the end, no repeated links, no header that only this reader understands. Memory stays flat: no member's data is kept.
"""
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

MEMBERS = 200_000
NAME_BYTES = 1024
DEPTH = 64
ALL_NAMES_BYTES = 32 * 1024 * 1024
UNPACKED_BYTES = 16 * 1024**3
# Text and zeros pack well; a thousandfold is what a bomb needs. Small archives may be as dense as they like.
RATIO = 250
DENSE_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 256 * 1024  # tarfile reads extended headers as a whole
LINK_HOPS = 40  # as Linux does
PIECE = 64 * 1024
BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(BLOCK)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadArchive(Exception):
    """The bytes are not a package that may be kept. The text says why."""


def check(read: Callable[[], bytes]) -> int:
    """Reads an archive to its end through `read` (a piece of packed bytes, b"" at the end); returns its unpacked size.

    Raises BadArchive. `read` is called until it gives b"" only where the archive is good.
    """
    unzipped = _Unzipped(read)
    contents = _Contents()
    try:
        with tarfile.TarFile(fileobj=unzipped, mode="r", tarinfo=_Header, encoding="utf-8",  # type: ignore[arg-type]
                             errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                contents.add(member)
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every member it has seen
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise BadArchive("it is no tar archive, or a broken one") from error
    unzipped.expect_end()
    contents.check_links()
    if not contents.count:
        raise BadArchive("there is nothing in it")
    return contents.size


class _Header(tarfile.TarInfo):
    """A member's header. Its plain name is checked too: tars that know no extended headers use that one."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        header = super().frombuf(buf, encoding, errors)
        _check_name(header.name)
        return header


class _Unzipped:
    """The unpacked bytes as a file that can be read and skipped forward, as tarfile does it; nothing is kept."""

    def __init__(self, read: Callable[[], bytes]):
        self._read_packed = read
        self._zip = zlib.decompressobj(31)
        self._packed = b""  # read, and not unpacked yet
        self._ready = bytearray()  # unpacked, and not asked for yet
        self._packed_size = self._unpacked_size = self._position = 0
        self._last = b""  # the last block handed out: tarfile steps back by one byte before each header

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        if position == self._position - 1 and self._last:
            self._ready[:0] = self._last[-1:]
            self._position -= 1
            return position
        if position < self._position or whence:
            raise BadArchive("it is no tar archive, or a broken one")
        while self._position < position:
            if not self._take(min(PIECE, position - self._position)):
                raise BadArchive("it ends too early")
        return position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= HEADER_BYTES:
            raise BadArchive("it has a header that is far too large")
        found = b""
        while len(found) < size and (piece := self._take(size - len(found))):
            found += piece
        if size > 1:
            self._last = found
        return found

    def expect_end(self) -> None:
        """What tarfile took for the end must be one: a block of zeros, then zeros only, then a good checksum."""
        if self._last != _ZEROS:
            raise BadArchive("it ends too early, or one of its headers is broken")
        while piece := self._take(PIECE):
            if piece.strip(b"\0"):
                raise BadArchive("there is something behind its end")

    def _take(self, most: int) -> bytes:
        if not self._ready:
            self._fill()
        piece = bytes(self._ready[:most])
        del self._ready[:most]
        self._position += len(piece)
        return piece

    def _fill(self) -> None:
        while not self._ready:
            if not self._packed:
                self._packed = self._read_packed()
                self._packed_size += len(self._packed)
            if self._zip.eof:
                if not self._packed:
                    return
                if not self._packed.startswith(b"\x1f"):
                    raise BadArchive("there is something behind its end")
                self._zip = zlib.decompressobj(31)  # gzip files may be joined
            elif not self._packed:
                raise BadArchive("it ends too early")
            try:
                self._ready += self._zip.decompress(self._packed, PIECE)
            except zlib.error as error:
                raise BadArchive("it is no gzip file, or a broken one") from error
            self._packed = self._zip.unconsumed_tail or self._zip.unused_data
            self._unpacked_size += len(self._ready)
            self._refuse_bomb()

    def _refuse_bomb(self) -> None:
        dense = self._unpacked_size > max(DENSE_BYTES, RATIO * self._packed_size)
        if dense or self._unpacked_size > UNPACKED_BYTES:
            raise BadArchive("it unpacks to far too much")


@dataclass
class _Contents:
    """What was seen so far: enough to judge links, which may come before or after what they lead to."""

    count: int = 0
    size: int = 0
    names_size: int = 0
    files: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)  # name → target, both relative
    folders: set[str] = field(default_factory=set)  # everything that has something below it

    def add(self, member: tarfile.TarInfo) -> None:
        self.count += 1
        self.size += member.size if member.isreg() else 0
        self.names_size += len(member.name) + len(member.linkname)
        if self.count > MEMBERS or self.names_size > ALL_NAMES_BYTES:
            raise BadArchive(f"it holds more than {MEMBERS} members, or too many long names")
        if not member.name:  # "/": tarfile takes the slash away
            raise BadArchive("it holds a folder without a name")
        name = "/".join(_check_name(member.name))
        if member.issparse() or not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise BadArchive(f"{_shown(name)} is neither a file, a folder nor a link")
        if name in self.links or (member.issym() and name in self.files | self.folders):
            raise BadArchive(f"{_shown(name)} is there twice")
        if member.issym():
            self._add_link(name, member.linkname)
        elif member.islnk():
            if "/".join(_check_name(member.linkname)) not in self.files:
                raise BadArchive(f"{_shown(name)} is a link to no file in the archive")
            self.files.add(name)
        elif member.isdir():
            self.folders.add(name)
        else:
            self.files.add(name)
        self._add_folders_of(name)

    def _add_link(self, name: str, target: str) -> None:
        if not name:
            raise BadArchive("its root is a link")
        if not target or target.startswith("/") or _CONTROL.search(target) or len(target) > NAME_BYTES:
            raise BadArchive(f"{_shown(name)} is a link that leads outside")
        self.links[name] = target

    def _add_folders_of(self, name: str) -> None:
        while "/" in name:
            name = name.rpartition("/")[0]
            if name in self.folders:
                return
            self.folders.add(name)

    def check_links(self) -> None:
        """Follows each link through all others: `a -> .` makes `b -> a/..` lead outside."""
        for name in self.links:
            if name in self.folders:
                raise BadArchive(f"{_shown(name)} is a link and has something below it")
        for name, target in self.links.items():
            self._follow(name, target)

    def _follow(self, name: str, target: str) -> None:
        place = name.split("/")[:-1]
        todo = target.split("/")[::-1]
        hops = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not place:
                    raise BadArchive(f"{_shown(name)} is a link that leads outside")
                place.pop()
                continue
            place.append(part)
            onward = self.links.get("/".join(place))
            if onward is not None:
                hops += 1
                if hops > LINK_HOPS:
                    raise BadArchive(f"{_shown(name)} is a link that leads nowhere")
                place.pop()
                todo += onward.split("/")[::-1]


def _check_name(name: str) -> list[str]:
    """The parts of a member's name; [] for the archive's root. Raises BadArchive for a name that leads elsewhere."""
    if name.startswith("/") or len(name) > NAME_BYTES or _CONTROL.search(name):
        raise BadArchive(f"{_shown(name)} is no path inside a package")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(parts) > DEPTH or any(len(part.encode(errors="surrogateescape")) > 255 for part in parts):
        raise BadArchive(f"{_shown(name)} is no path inside a package")
    return parts


def _shown(name: str) -> str:
    return ascii(name[:80]) if name else "the root"
