"""Decide which branches and tags of a repository may be built. Pure."""

from collections.abc import Iterable, Mapping

from .providers import BuildRefused

_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"


def listed(raw: bytes) -> dict[str, str]:
    """Parse the output of `git ls-remote --heads --tags`: {full name: commit}. A tag maps to its commit."""
    commits = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        commit, tab, name = line.partition("\t")
        if tab and name.startswith((_HEADS, _TAGS)):  # never refs/pull/…, which anyone can create
            commits[name] = commit
    for name in [name for name in commits if name.endswith(_PEELED)]:
        commits[name.removesuffix(_PEELED)] = commits.pop(name)
    return commits


def commit_of(ref: str, known: Mapping[str, str], patterns: Iterable[str]) -> str:
    """Return the commit of a branch, or else of a tag. Raise BuildRefused if there is none, or it may not be built."""
    for name in (_HEADS + ref, _TAGS + ref):
        if name in known:
            if not is_built(name, patterns):
                raise BuildRefused("ref_not_built", ref=ref, patterns=list(patterns))
            return known[name]
    raise BuildRefused("ref_missing", ref=ref)


def matching(known: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """Return the branches and tags that may be built."""
    return {name: commit for name, commit in known.items() if is_built(name, patterns)}


def is_built(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a full name (refs/heads/main) matches a pattern; without patterns every name does.

    A pattern that begins with refs/ matches full names, any other pattern the names of branches and tags.
    """
    patterns = list(patterns)
    short = name.removeprefix(_HEADS) if name.startswith(_HEADS) else name.removeprefix(_TAGS)
    return not patterns or any(fits(name if pattern.startswith("refs/") else short, pattern) for pattern in patterns)


def may_be_built(ref: str, patterns: Iterable[str]) -> bool:
    """Do the same for a short name: only the build server knows whether it is a branch or a tag."""
    patterns = list(patterns)
    return is_built(_HEADS + ref, patterns) or is_built(_TAGS + ref, patterns)


def fits(text: str, pattern: str) -> bool:
    """Return whether the pattern matches: `*` any characters including /, `?` one. Time: at most the product of the
    two lengths."""
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
    return all(character == "*" for character in pattern[of:])
