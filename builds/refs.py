"""Which branches and tags of a repository are built. Pure."""

from collections.abc import Iterable, Mapping

from .providers import Refused

_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"


def listed(raw: bytes) -> dict[str, str]:
    """{full name: commit} of what `git ls-remote --heads --tags` printed; a tag stands for the commit that it names."""
    found = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        commit, tab, name = line.partition("\t")
        if tab and name.startswith((_HEADS, _TAGS)):  # never refs/pull/…, which anybody may have made
            found[name] = commit
    for name in [name for name in found if name.endswith(_PEELED)]:
        found[name.removesuffix(_PEELED)] = found.pop(name)
    return found


def commit_of(ref: str, known: Mapping[str, str], patterns: Iterable[str]) -> str:
    """The commit of a branch, or else a tag. Raises Refused where there is none, or none that is built."""
    for name in (_HEADS + ref, _TAGS + ref):
        if name in known:
            if not is_built(name, patterns):
                raise Refused(refusal(ref, patterns))
            return known[name]
    raise Refused(f"The repository has no branch or tag {ref}")


def matching(known: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """Those of the branches and tags that are built."""
    return {name: commit for name, commit in known.items() if is_built(name, patterns)}


def is_built(name: str, patterns: Iterable[str]) -> bool:
    """Whether a full name (refs/heads/main) fits one of the patterns; without patterns every one does. A pattern that
    begins with refs/ is about full names, every other one about the names of branches and tags alike."""
    patterns = list(patterns)
    short = name.removeprefix(_HEADS) if name.startswith(_HEADS) else name.removeprefix(_TAGS)
    return not patterns or any(fits(name if one.startswith("refs/") else short, one) for one in patterns)


def may_be_built(ref: str, patterns: Iterable[str]) -> bool:
    """The same for a name of which only the build server knows whether it is a branch or a tag."""
    patterns = list(patterns)
    return is_built(_HEADS + ref, patterns) or is_built(_TAGS + ref, patterns)


def refusal(ref: str, patterns: Iterable[str]) -> str:
    return f"{ref} is not built: the service builds {', '.join(patterns)}"


def fits(text: str, pattern: str) -> bool:
    """`*` stands for any characters, / among them, and `?` for one. Takes time in proportion to both lengths' product
    at most, whatever they hold."""
    at = of = 0
    star, again = -1, 0
    while at < len(text):
        if of < len(pattern) and pattern[of] == "*":
            star, again = of, at
            of += 1
        elif of < len(pattern) and pattern[of] in ("?", text[at]):
            at, of = at + 1, of + 1
        elif star >= 0:
            again += 1
            at, of = again, star + 1
        else:
            return False
    return all(one == "*" for one in pattern[of:])
