"""Decide which branches and tags of a repository may be built. Pure."""

from collections.abc import Iterable, Mapping

from microservice.catalog.ref_patterns import HEADS, TAGS, is_meant

from .providers import BuildRefused

_PEELED = "^{}"


def listed(raw: bytes) -> dict[str, str]:
    """Parse the output of `git ls-remote --heads --tags`: {full name: commit}. A tag maps to its commit."""
    commits = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        commit, tab, name = line.partition("\t")
        if tab and name.startswith((HEADS, TAGS)):  # never refs/pull/…, which anyone can create
            commits[name] = commit
    for name in [name for name in commits if name.endswith(_PEELED)]:
        commits[name.removesuffix(_PEELED)] = commits.pop(name)
    return commits


def commit_of(ref: str, known: Mapping[str, str], patterns: Iterable[str]) -> str:
    """Return the commit of a branch, or else of a tag. Raise BuildRefused if there is none, or it may not be built."""
    for name in (HEADS + ref, TAGS + ref):
        if name in known:
            if not is_meant(name, patterns):
                raise BuildRefused("ref_not_built", ref=ref, patterns=list(patterns))
            return known[name]
    raise BuildRefused("ref_missing", ref=ref)


def matching(known: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """Return the branches and tags that may be built."""
    return {name: commit for name, commit in known.items() if is_meant(name, patterns)}
