"""What an archive's members make together: which of them are kept, where its links lead, and a hash of it all."""

import hashlib
from dataclasses import dataclass, field

from .errors import BadArchive, shown
from .headers import FILE, FOLDER, HARD_LINK, SYMLINK
from .members import Member, check_link_text

MEMBERS = 200_000
ALL_NAMES_BYTES = 32 * 1024 * 1024
LINK_HOPS = 40  # as Linux does
# Owner's rights, reading and running for others. No set-uid, set-gid or sticky bit, nothing that others may write.
MODES = 0o755
FOLDER_MODE = 0o755


@dataclass
class Contents:
    """What was kept so far: enough to judge links, which may come before or after what they lead to.

    A name has one kind only. Of a file it holds what the manifest says of it, never its data.
    """

    size: int = 0  # bytes of all files
    _count: int = 0
    _names_size: int = 0
    _files: dict[str, bytes] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)  # name → target, both relative
    _hard_linked: set[str] = field(default_factory=set)  # both ends
    _folders: dict[str, int] = field(default_factory=dict)  # name → mode

    def add(self, member: Member) -> list[Member]:
        """What is to be written for it, in order: folders before what lies in them. [] where it adds nothing.

        Every file must be followed by `describe` once its data has been seen, also one that adds nothing.
        """
        self._count_in(member.name, member.link)
        if not member.name:
            if member.kind != FOLDER:
                raise BadArchive("its root is not a folder")
            return []  # the release folder is the host's own
        above = self._folders_of(member)
        if member.kind == FOLDER:
            return above + self._folder(member)
        if member.kind == SYMLINK:
            return above + self._symlink(member)
        if member.kind == HARD_LINK:
            return above + self._hard_link(member)
        if member.name in self._folders or member.name in self._links:
            raise BadArchive(f"{shown(member.name)} is there twice")
        # A file may come again, and the last one counts. One with a hard link to it must be the same again: busybox tar
        # makes hard links last.
        if member.name in self._hard_linked:
            return above
        self.size += member.size
        self._files[member.name] = b""
        return [*above, _with_mode(member, member.mode & MODES)]

    def describe(self, member: Member, sha256: bytes) -> None:
        """What is known of a file when its data has been read."""
        entry = b"file %o %d %s" % (member.mode & MODES, member.size, sha256.hex().encode())
        if member.name in self._hard_linked and self._files[member.name] != entry:
            raise BadArchive(f"{shown(member.name)} is there twice")
        self._files[member.name] = entry

    def manifest(self) -> str:
        """A hash of what is in it, in hex: names, kinds, modes, data and links; not times, owners or the order."""
        digest = hashlib.sha256(b"1\n")
        entries = self.entries()
        for name in sorted(entries):
            digest.update(_encoded(name) + b"\0" + entries[name] + b"\n")
        return digest.hexdigest()

    def entries(self) -> dict[str, bytes]:
        """What each name is: b"file MODE SIZE SHA256", b"link TARGET" or b"folder MODE", modes in octal."""
        links = {name: b"link " + _encoded(target) for name, target in self._links.items()}
        return self._files | links | {name: b"folder %o" % mode for name, mode in self._folders.items()}

    def check(self) -> None:
        """Once all members are known: something is in it, and each link stays inside, followed through all others."""
        if not self._files:
            raise BadArchive("there is no file in it", "Is the folder that was packed the one with what was built?")
        for name, target in self._links.items():
            self._follow(name, target)

    def _count_in(self, *names: str) -> None:
        self._count += 1
        self._names_size += sum(map(len, names))
        if self._count > MEMBERS or self._names_size > ALL_NAMES_BYTES:
            raise BadArchive(f"it holds more than {MEMBERS} members, or too many long names")

    def _folders_of(self, member: Member) -> list[Member]:
        missing: list[Member] = []
        name = member.name.rpartition("/")[0]
        while name and name not in self._folders:
            if name in self._links or name in self._files:
                raise BadArchive(f"{shown(name)} is no folder and has something below it")
            self._count_in(name)  # deep names would otherwise make many folders of few bytes
            missing.append(Member(name, FOLDER, FOLDER_MODE, member.mtime))
            name = name.rpartition("/")[0]
        for folder in missing:
            self._folders[folder.name] = folder.mode
        return missing[::-1]

    def _folder(self, member: Member) -> list[Member]:
        if member.name in self._files or member.name in self._links:
            raise BadArchive(f"{shown(member.name)} is there twice")
        mode = member.mode & MODES | 0o700  # its owner must be able to unpack into it and to remove it
        if self._folders.get(member.name) == mode:
            return []
        self._folders[member.name] = mode
        return [_with_mode(member, mode)]

    def _symlink(self, member: Member) -> list[Member]:
        check_link_text(member.name, member.link)
        if self._links.get(member.name) == member.link:
            return []
        if member.name in self._links or member.name in self._files or member.name in self._folders:
            raise BadArchive(f"{shown(member.name)} is there twice")
        self._links[member.name] = member.link
        return [_with_mode(member, 0o777)]

    def _hard_link(self, member: Member) -> list[Member]:
        if member.name in self._links and member.name == member.link:
            return []  # how GNU tar writes a symlink that was named twice
        if member.name in self._folders or member.name in self._links:
            raise BadArchive(f"{shown(member.name)} is there twice")
        if member.link not in self._files:
            raise BadArchive(f"{shown(member.name)} is a hard link to {shown(member.link)}, which is no file before it")
        there = self._files.get(member.name)
        if member.name == member.link or there == self._files[member.link]:
            return []  # and a file
        if there is not None:  # busybox tar does not put a link in the place of a file
            raise BadArchive(f"{shown(member.name)} is there twice")
        self._hard_linked |= {member.name, member.link}
        self._files[member.name] = self._files[member.link]
        return [_with_mode(member, int(self._files[member.link].split()[1], 8))]

    def _follow(self, name: str, target: str) -> None:
        """`a -> .` makes `b -> a/..` lead outside."""
        place = name.split("/")[:-1]
        todo = target.split("/")[::-1]
        hops = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not place:
                    raise BadArchive(f"{shown(name)} is a symbolic link that leads outside, to {shown(target)}")
                place.pop()
                continue
            place.append(part)
            onward = self._links.get("/".join(place))
            if onward is not None:
                hops += 1
                if hops > LINK_HOPS:
                    raise BadArchive(f"{shown(name)} is a symbolic link that leads nowhere")
                place.pop()
                todo += onward.split("/")[::-1]


def _with_mode(member: Member, mode: int) -> Member:
    return Member(member.name, member.kind, mode, member.mtime, member.size if member.kind == FILE else 0, member.link)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
