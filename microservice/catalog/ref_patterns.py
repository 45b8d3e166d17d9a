"""Which branches and tags a list of patterns means. Pure."""

from collections.abc import Iterable

HEADS, TAGS = "refs/heads/", "refs/tags/"


def is_meant(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a full name (refs/heads/main) matches a pattern; without patterns every name does.

    A pattern that begins with refs/ matches full names, any other pattern the names of branches and tags.
    """
    patterns = list(patterns)
    short = name.removeprefix(HEADS) if name.startswith(HEADS) else name.removeprefix(TAGS)
    return not patterns or any(fits(name if pattern.startswith("refs/") else short, pattern) for pattern in patterns)


def may_be_meant(ref: str, patterns: Iterable[str]) -> bool:
    """Do the same for a short name: only the build server knows whether it is a branch or a tag."""
    patterns = list(patterns)
    return is_meant(HEADS + ref, patterns) or is_meant(TAGS + ref, patterns)


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
