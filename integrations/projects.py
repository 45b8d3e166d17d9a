"""Which project of a build server a service may build: at the server that is set up, and bound to its team. Pure.

The credentials of the server are the system's own: without this, everybody who may name a project could build it.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

EVERYBODY = "*"
_PORTS = {"http": 80, "https": 443}
_JENKINS_WORDS = frozenset({"job", "view"})  # a view leads to jobs and is no part of their names


def refusal(origin: str, server: str, bindings: Iterable[Mapping[str, str]], build_url: str, team: str) -> str:
    """Why a service of a team ("": of none) may not build what build_url names; empty where it may.

    `bindings`: [{"project": "red-team/*", "team": "red"}]. Once there is one, a project must be bound to the service's
    team, or to everybody ("*").
    """
    if reason := _elsewhere(server, build_url):
        return reason
    bindings = list(bindings)
    if not bindings:
        return ""
    project = project_of(origin, server, build_url)
    if not project:
        return "names no project that could be bound to a team"
    if any(one["team"] in (team, EVERYBODY) and _covers(one["project"], project) for one in bindings if one["team"]):
        return ""
    whose = f"the team {team}" if team else "a service without a team"
    return f"names {project[:100]}, which the settings bind to no project of {whose}"


def project_of(origin: str, server: str, build_url: str) -> str:
    """The name that bindings are about: group/project at GitLab, folder/job at Jenkins. Empty where it has another
    shape, or one that a server could read in another way."""
    parts = [unquote(part) for part in below(server, build_url).split("/") if part]
    if any(part in (".", "..") or set(part) & set("/\\;?#%") or not part.isprintable() for part in parts):
        return ""
    if origin != "jenkins":
        if parts:
            parts[-1] = parts[-1].removesuffix(".git")
        return "/".join(parts)
    if len(parts) % 2 or not set(parts[::2]) <= _JENKINS_WORDS:
        return ""
    return "/".join(name for word, name in zip(parts[::2], parts[1::2], strict=True) if word == "job")


def below(server: str, build_url: str) -> str:
    """The path of build_url, below that of the server's own address; without slashes at its ends."""
    path = urlsplit(build_url).path.strip("/")
    base = urlsplit(server).path.strip("/")
    return path.removeprefix(base).strip("/") if base and f"{path}/".startswith(f"{base}/") else path


def binding_error(bindings: object) -> str:
    """What is wrong with a list of bindings; empty where nothing is."""
    if not isinstance(bindings, list) or len(bindings) > 1000:
        return "must be a list of at most 1000 bindings"
    for one in bindings:
        if not isinstance(one, dict) or set(one) != {"project", "team"} or not all(map(_is_name, one.values())):
            return 'must hold {"project": …, "team": …}, each a text of at most 200 characters'
        if EVERYBODY in one["project"].removesuffix(EVERYBODY):
            return 'may have one * in a project, at its end: "red-team/*"'
    return ""


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _covers(pattern: str, project: str) -> bool:
    """Exactly it, or all that begins with what stands before the *."""
    if pattern.endswith(EVERYBODY):
        return project.startswith(pattern.removesuffix(EVERYBODY))
    return project == pattern


def _elsewhere(server: str, build_url: str) -> str:
    """Whether an address names another server; a path alone is one of the server that is set up."""
    try:
        told, known = urlsplit(build_url), urlsplit(server)
        same = (told.scheme, (told.hostname or "").lower(), told.port or _PORTS.get(told.scheme)) == (
            known.scheme,
            (known.hostname or "").lower(),
            known.port or _PORTS.get(known.scheme),
        )
    except ValueError:
        return "is no address"
    if not told.scheme and not told.netloc and not build_url.startswith("//"):
        return ""
    if told.username is not None or told.password is not None:
        return "must hold no user or password"
    return "" if same else f"must be an address of the server that is set up: {server}"
