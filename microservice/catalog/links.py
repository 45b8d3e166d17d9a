"""Where a service's repository, its pipelines and its commits are on the web. Pure."""

import re
from urllib.parse import quote, urlsplit

from access.problems import FieldError
from integrations import web_addresses

from ..models import MicroService

LINKS = ("repository_url", "ci_url", "commit_url")
COMMIT = "{commit}"  # stands in commit_url for the hash
# Where the forges have a commit and a branch, below the address of a repository, by what their host names contain.
_FORGES = (
    ("gitlab", "/-/commit/", "/-/tree/"),
    ("bitbucket.org", "/commits/", "/src/"),
    ("gitea", "/commit/", "/src/branch/"),
    ("codeberg.org", "/commit/", "/src/branch/"),
    ("github", "/commit/", "/tree/"),
    ("gitee", "/commit/", "/tree/"),
)
_HASH_AT_END = re.compile(r"-([0-9a-f]{7,64})\Z")  # as deployctl/naming.py names versions
_HASH = re.compile(r"[0-9a-f]{7,64}\Z")
_SSH = re.compile(r"(?:ssh://)?git@([\w.-]+)[:/](?!\d+/)([\w./-]+)\Z")


def errors(service: MicroService) -> list[FieldError]:
    """Return what is wrong with the service's links. "" is none."""
    found = []
    for name in LINKS:
        url = getattr(service, name)
        if url and (code := _error(url.replace(COMMIT, "0") if name == "commit_url" else url)):
            found.append(FieldError(f"/{name}", code))
        elif url and name == "commit_url" and COMMIT not in url:
            found.append(FieldError(f"/{name}", "commit_place"))
    return found


def _error(url: str) -> str:
    code = web_addresses.error(url)
    if code == "url_userinfo":
        return "link_userinfo"
    return code or ("http_url" if any(char.isspace() or char in '{}<>"\\' for char in url) else "")


def repository(service: MicroService) -> str:
    """Return the address of the repository: the one that is set, or that of the build source, if it has a page."""
    if service.repository_url:
        return service.repository_url
    url = service.build_url
    if match := _SSH.match(url):
        url = f"https://{match[1]}/{match[2]}"
    url = url.removesuffix("/").removesuffix(".git")
    return url if _forge(url) and not _error(url) else ""


def commit(service: MicroService, commit: str) -> str:
    """Return the address of a commit; "" where it is not known."""
    if not _HASH.match(commit):
        return ""
    if service.commit_url:
        return service.commit_url.replace(COMMIT, commit)
    url = repository(service)
    forge = _forge(url)
    return f"{url.removesuffix('/')}{forge[1]}{commit}" if forge else ""


def branch(service: MicroService, ref: str) -> str:
    """Return the address of a branch or tag; "" where it is not known."""
    url = repository(service)
    forge = _forge(url)
    return f"{url.removesuffix('/')}{forge[2]}{quote(ref)}" if forge and ref else ""


def commit_of(version: str) -> str:
    """Return the commit that a version's name ends with; "" where it names none."""
    match = _HASH_AT_END.search(version)
    return match[1] if match else ""


def _forge(url: str) -> tuple[str, str, str] | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    return next((forge for forge in _FORGES if forge[0] in host), None)
