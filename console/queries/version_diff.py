"""The changes between two versions, from their names and the service's repository. Pure functions."""

import re
from urllib.parse import quote, urlsplit

# CI names versions timestamp-branch-commit; the branch may contain dashes.
_NAME = re.compile(r"[0-9]{8,14}-.+-(?P<commit>[0-9a-f]{7,40})\Z")
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?P<path>[^/].*)\Z")
_GITLAB, _GITHUB = "{base}/-/compare/{old}...{new}", "{base}/compare/{old}...{new}"


def commit_of(version: str) -> str:
    """Return the commit in a version's name, or ""."""
    match = _NAME.match(version)
    return match["commit"] if match else ""


def commits(old: str, new: str) -> str:
    """Return the range for git, `abc1234..def5678`; "" if a name has no commit or both have the same."""
    first, last = commit_of(old), commit_of(new)
    return f"{first}..{last}" if first and last and first != last else ""


def compare_link(build_url: str, origin: str, old: str, new: str) -> str:
    """Return the URL of the comparison at GitHub or GitLab; "" for other repositories.

    GitLab is recognised by its host name, or because the service is built there.
    """
    first, last = commit_of(old), commit_of(new)
    base = _page_of(build_url)
    if not (base and first and last and first != last):
        return ""
    host = urlsplit(base).hostname or ""
    if host == "github.com":
        form = _GITHUB
    elif origin == "gitlab" or host == "gitlab.com" or host.startswith("gitlab."):
        form = _GITLAB
    else:
        return ""
    return form.format(base=base, old=quote(first), new=quote(last))


def _page_of(build_url: str) -> str:
    """Return the URL of the repository's page, http or https, from any address that git accepts."""
    url = build_url.strip()
    if "://" not in url and (match := _SCP.match(url)):
        url = f"ssh://{match['host']}/{match['path']}"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return ""
    path = "/".join(quote(piece) for piece in parts.path.strip("/").removesuffix(".git").split("/"))
    scheme = "http" if parts.scheme == "http" else "https"
    # Without the user and password that the address may contain.
    return f"{scheme}://{parts.hostname}{port}/{path}" if path else ""
