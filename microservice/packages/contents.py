"""The contents of a package: which members of an archive are kept, where its links lead, and a hash of everything."""

import hashlib
from dataclasses import dataclass, field

from .errors import BadArchive, quoted
from .headers import FILE, FOLDER, HARD_LINK, SYMLINK
from .members import Member, check_link_text

MAX_MEMBERS = 200_000
MAX_NAMES_BYTES = 32 * 1024 * 1024  # of all names together
MAX_LINK_HOPS = 40  # as in Linux
# The permission bits that are kept: all of the owner, read and execute of others. No set-uid, set-gid or sticky bit.
MODES = 0o755
FOLDER_MODE = 0o755


@dataclass
class Contents:
    """The members so far: enough to check links, which may come before or after their targets.

    A name has one kind only. Of a file's data only size and hash are kept.
    """

    size: int = 0  # bytes of all files
    _count: int = 0
    _names_size: int = 0
    _files: dict[str, bytes] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)  # name → target, both relative
    _hard_linked: set[str] = field(default_factory=set)  # both ends
    _folders: dict[str, int] = field(default_factory=dict)  # name → mode

    def add(self, member: Member) -> list[Member]:
        """Return the members to write for this one, in order: parent folders first. [] where it adds nothing.

        Call `describe` for every file once its data was read, also where it adds nothing.
        """
        self._count_in(member.name, member.link)
        if not member.name:
            if member.kind != FOLDER:
                raise BadArchive("bad_package.root_not_folder")
            return []  # the host creates the release folder
        parents = self._missing_parents(member)
        if member.kind == FOLDER:
            return parents + self._folder(member)
        if member.kind == SYMLINK:
            return parents + self._symlink(member)
        if member.kind == HARD_LINK:
            return parents + self._hard_link(member)
        if member.name in self._folders or member.name in self._links:
            raise _duplicate(member)
        # A file may come again, and the last one counts. One with a hard link to it must be the same again, because
        # busybox tar creates hard links last.
        if member.name in self._hard_linked:
            return parents
        self.size += member.size
        self._files[member.name] = b""
        return [*parents, _with_mode(member, member.mode & MODES)]

    def describe(self, member: Member, sha256: bytes) -> None:
        """Record a file's entry once its data was read."""
        entry = b"file %o %d %s" % (member.mode & MODES, member.size, sha256.hex().encode())
        if member.name in self._hard_linked and self._files[member.name] != entry:
            raise _duplicate(member)
        self._files[member.name] = entry

    def manifest(self) -> str:
        """Return a hash of the contents in hex: names, kinds, modes, data and links; not times, owners or order."""
        digest = hashlib.sha256(b"1\n")
        entries = self.entries()
        for name in sorted(entries):
            digest.update(_encoded(name) + b"\0" + entries[name] + b"\n")
        return digest.hexdigest()

    def entries(self) -> dict[str, bytes]:
        """Return {name: b"file MODE SIZE SHA256", b"link TARGET" or b"folder MODE"}, modes in octal."""
        links = {name: b"link " + _encoded(target) for name, target in self._links.items()}
        return self._files | links | {name: b"folder %o" % mode for name, mode in self._folders.items()}

    def check(self) -> None:
        """Check, once all members are known, that there is a file and that each link stays inside to its end."""
        if not self._files:
            raise BadArchive("bad_package.empty")
        for name, target in self._links.items():
            self._follow(name, target)

    def _count_in(self, *names: str) -> None:
        self._count += 1
        self._names_size += sum(map(len, names))
        if self._count > MAX_MEMBERS or self._names_size > MAX_NAMES_BYTES:
            raise BadArchive("bad_package.too_many_members", max=MAX_MEMBERS)

    def _missing_parents(self, member: Member) -> list[Member]:
        missing: list[Member] = []
        name = member.name.rpartition("/")[0]
        while name and name not in self._folders:
            if name in self._links or name in self._files:
                raise BadArchive("bad_package.below_file", name=quoted(name))
            self._count_in(name)  # deep names would otherwise create many folders from few bytes
            missing.append(Member(name, FOLDER, FOLDER_MODE, member.mtime))
            name = name.rpartition("/")[0]
        for folder in missing:
            self._folders[folder.name] = folder.mode
        return missing[::-1]

    def _folder(self, member: Member) -> list[Member]:
        if member.name in self._files or member.name in self._links:
            raise _duplicate(member)
        mode = member.mode & MODES | 0o700  # the owner must be able to unpack into it and to remove it
        if self._folders.get(member.name) == mode:
            return []
        self._folders[member.name] = mode
        return [_with_mode(member, mode)]

    def _symlink(self, member: Member) -> list[Member]:
        check_link_text(member.name, member.link)
        if self._links.get(member.name) == member.link:
            return []
        if member.name in self._links or member.name in self._files or member.name in self._folders:
            raise _duplicate(member)
        self._links[member.name] = member.link
        return [_with_mode(member, 0o777)]

    def _hard_link(self, member: Member) -> list[Member]:
        if member.name in self._links and member.name == member.link:
            return []  # GNU tar writes this for a symlink that was named twice
        if member.name in self._folders or member.name in self._links:
            raise _duplicate(member)
        if member.link not in self._files:
            raise BadArchive("bad_package.hard_link", name=quoted(member.name), target=quoted(member.link))
        existing = self._files.get(member.name)
        if member.name == member.link or existing == self._files[member.link]:
            return []  # GNU tar writes this for a file that was named twice
        if existing is not None:  # busybox tar does not replace a file by a link
            raise _duplicate(member)
        self._hard_linked |= {member.name, member.link}
        self._files[member.name] = self._files[member.link]
        return [_with_mode(member, int(self._files[member.link].split()[1], 8))]

    def _follow(self, name: str, target: str) -> None:
        """Follow a link through all others: with `a -> .`, `b -> a/..` leads outside."""
        place = name.split("/")[:-1]
        todo = target.split("/")[::-1]
        hops = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not place:
                    raise BadArchive("bad_package.link_outside", name=quoted(name), target=quoted(target))
                place.pop()
                continue
            place.append(part)
            link = self._links.get("/".join(place))
            if link is not None:
                hops += 1
                if hops > MAX_LINK_HOPS:
                    raise BadArchive("bad_package.link_loop", name=quoted(name), max=MAX_LINK_HOPS)
                place.pop()
                todo += link.split("/")[::-1]


def _duplicate(member: Member) -> BadArchive:
    return BadArchive("bad_package.duplicate", name=quoted(member.name))


def _with_mode(member: Member, mode: int) -> Member:
    return Member(member.name, member.kind, mode, member.mtime, member.size if member.kind == FILE else 0, member.link)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
