"""What lies between two versions: pure functions of their names and of where the service is built from."""

import re
from urllib.parse import quote, urlsplit

# CI's form is timestamp-branch-commit; the branch may have dashes of its own.
_NAME = re.compile(r"[0-9]{8,14}-.+-(?P<commit>[0-9a-f]{7,40})\Z")
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?P<path>[^/].*)\Z")
_GITLAB, _GITHUB = "{base}/-/compare/{old}...{new}", "{base}/compare/{old}...{new}"


def commit_of(version: str) -> str:
    """The commit that a version's name ends with; empty where it names none."""
    found = _NAME.match(version)
    return found["commit"] if found else ""


def commits(old: str, new: str) -> str:
    """The range as git takes it, `abc1234..def5678`; empty where a name has no commit, or both have the same."""
    first, last = commit_of(old), commit_of(new)
    return f"{first}..{last}" if first and last and first != last else ""


def compare_link(build_url: str, origin: str, old: str, new: str) -> str:
    """Where the forge shows what changed from one version to the other; empty where the forge is not known.

    Only for addresses whose form is known: GitHub, and GitLab by its name or because the service is built there.
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
    """The repository's page for a browser, from any address that git takes. Only http and https come out of here."""
    url = build_url.strip()
    if "://" not in url and (found := _SCP.match(url)):
        url = f"ssh://{found['host']}/{found['path']}"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return ""
    path = "/".join(quote(piece) for piece in parts.path.strip("/").removesuffix(".git").split("/"))
    scheme = "http" if parts.scheme == "http" else "https"
    # Without a user and a password, should the address have brought some.
    return f"{scheme}://{parts.hostname}{port}/{path}" if path else ""
