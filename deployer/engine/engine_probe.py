"""The part of a host check that asks for an engine of containers: which is there, and whether this user may use it.

It prevents nothing, for only services with images need one: it is asked last, and an engine that hangs is left alone.
"""

import re

# Docker's own words are looked at, for its exit status is the same for all of them. Where `docker` is podman's, it says
# so in its version. Older busybox has another `timeout`; without one, the check's own deadline counts.
SCRIPT = r"""
t='timeout 3'; timeout 1 true >/dev/null 2>&1 || t=
engine() {
	command -v docker >/dev/null 2>&1 && case $(docker --version 2>/dev/null) in *[Pp]odman*) false ;; esac && {
		if v=$($t docker version --format '{{.Server.Version}}' 2>&1 </dev/null); then
			say engine "ready docker $v"
			return
		fi
		case $v in *'permission denied'*) say engine 'denied docker' ;; *) say engine 'away docker' ;; esac
		return
	}
	command -v podman >/dev/null 2>&1 || { say engine none; return; }
	v=$($t podman --version 2>/dev/null </dev/null) && { say engine "ready podman ${v##* }"; return; }
	say engine 'away podman'
}
engine
"""
_ANSWER = re.compile(r"(ready|denied|away) (docker|podman)(?: ([0-9A-Za-z.+~_-]{1,32}))?")


def state_of(answer: str | None) -> tuple[str | None, str]:
    """Return (state, engine and version) of what the host said: the state is ready, denied, away or none; None where
    nothing was said. Pure."""
    if answer == "none":
        return "none", ""
    match = _ANSWER.fullmatch(answer or "")
    return (match[1], " ".join(filter(None, (match[2], match[3])))) if match else (None, "")
