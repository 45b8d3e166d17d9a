"""Which projects of a build server a service may build: on the configured server, and bound to its team. Pure.

The credentials for the server belong to the system: unchecked, anyone who may name a project
could build it.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from messages import Message

ANY = "*"
MAX_BINDINGS, MAX_NAME = 1000, 200
MAX_SHOWN = 100  # characters of a project's name in a refusal
_PORTS = {"http": 80, "https": 443}
_JENKINS_WORDS = frozenset({"job", "view"})  # a view leads to jobs and is not part of their names


def refusal(
    origin: str, server: str, bindings: Iterable[Mapping[str, str]], build_url: str, team: str
) -> Message | None:
    """Return why a service of `team` ("": no team) may not build what `build_url` names; None where it may.

    `bindings`: [{"project": "red-team/*", "team": "red"}]. Once there is one, a project must be bound to the service's
    team or to every team ("*").
    """
    if message := _other_server(server, build_url):
        return message
    bindings = list(bindings)
    if not bindings:
        return None
    project = project_of(origin, server, build_url)
    if not project:
        return Message("project_missing")
    if any(
        binding["team"] in (team, ANY) and _covers(binding["project"], project)
        for binding in bindings
        if binding["team"]
    ):
        return None
    if not team:
        return Message("project_not_bound.no_team", {"project": project[:MAX_SHOWN]})
    return Message("project_not_bound", {"project": project[:MAX_SHOWN], "team": team})


def project_of(origin: str, server: str, build_url: str) -> str:
    """Return the name that bindings refer to: group/project in GitLab, folder/job in Jenkins.

    "" where the address has another form, or one that a server could read in another way.
    """
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
    """Return the path of `build_url` below the server's own address, without slashes at its ends."""
    path = urlsplit(build_url).path.strip("/")
    base = urlsplit(server).path.strip("/")
    return path.removeprefix(base).strip("/") if base and f"{path}/".startswith(f"{base}/") else path


def binding_error(bindings: object) -> Message | None:
    """Return what is wrong with a list of bindings; None where nothing is."""
    if not isinstance(bindings, list) or len(bindings) > MAX_BINDINGS:
        return Message("bindings", {"max": MAX_BINDINGS})
    for binding in bindings:
        if (
            not isinstance(binding, dict)
            or set(binding) != {"project", "team"}
            or not all(map(_is_name, binding.values()))
        ):
            return Message("binding", {"max": MAX_NAME})
        if ANY in binding["project"].removesuffix(ANY):
            return Message("binding_wildcard")
    return None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _covers(pattern: str, project: str) -> bool:
    """Return whether a binding's project is this one; one that ends in * is every project that begins like it."""
    if pattern.endswith(ANY):
        return project.startswith(pattern.removesuffix(ANY))
    return project == pattern


def _other_server(server: str, build_url: str) -> Message | None:
    """Return what is wrong with the server of an address; a path alone is on the configured server."""
    try:
        address, known = urlsplit(build_url), urlsplit(server)
        is_same = (address.scheme, (address.hostname or "").lower(), address.port or _PORTS.get(address.scheme)) == (
            known.scheme,
            (known.hostname or "").lower(),
            known.port or _PORTS.get(known.scheme),
        )
    except ValueError:
        return Message("http_url")
    if not address.scheme and not address.netloc and not build_url.startswith("//"):
        return None
    if address.username is not None or address.password is not None:
        return Message("url_userinfo")
    return None if is_same else Message("server_other", {"server": server})
