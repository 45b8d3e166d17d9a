"""The host check: connects as a worker would, examines the host, and says what prevents deployments. It changes nothing
but the mark of the folder, which says which host it belongs to."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from messages import Message

from . import deadlines, engine_probe, host_refusals
from .attempt import clean
from .codes import Code, error
from .endpoint import Endpoint, Limits, shares
from .errors import AuthRefused, KeyChanged, NoCommonAlgorithm, NotTrusted, SessionRefused, WireError
from .jump_cache import check
from .jump_cache.check import Answered, ask
from .jump_cache.protocol import plain
from .program import quote
from .ssh import Connection, connect, fetch_host_key

# What the program on the host calls; a test compares with the program itself.
TOOLS = (
    "flock",
    "dd",
    "mkdir",
    "mkfifo",
    "mv",
    "ln",
    "rm",
    "cat",
    "tail",
    "wc",
    "sleep",
    "tar",
    "gzip",
    "sha256sum",
    "tee",
    "find",
    "ls",
    "chmod",
)
MIN_FREE_BYTES = 100 << 20  # bytes of free disk below which a warning is given


@dataclass
class Finding:
    """What a host check found. None where it did not come so far.

    `error`: the first thing that prevents deployments, with what to do about it as its hint. `warnings` prevent
    nothing. Sizes are in bytes.
    """

    reachable: bool
    error: Message | None = None
    ready: bool = False
    offered_key: str = ""
    trusted: bool = False
    authenticated: bool = False
    user: str = ""
    uid: int | None = None
    base_path_writable: bool | None = None
    free_bytes: int | None = None
    tools_missing: list[str] = field(default_factory=list)
    sudo_works: bool | None = None
    shell_seconds: float | None = None  # until the login shell began a command
    serves_packages: bool | None = None  # to hosts behind it; None where it has no port for that
    uses_jump_packages: bool | None = None  # from its jump host; None where that has no such port
    # Whether it speaks old algorithms only; None where that was not seen.
    legacy_needed: bool | None = None
    mark: str = ""  # in the folder: which host it belongs to
    engine: str = ""  # of containers, with its version: "docker 20.10.24"
    engine_state: str | None = None  # ready; denied to this user; away: it does not answer; none: there is none
    warnings: list[Message] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return everything but the messages, as plain values."""
        return {name: value for name, value in asdict(self).items() if name not in ("error", "warnings")}


def probe(
    endpoint: Endpoint,
    base_path: str,
    sudo: bool,
    deadline: float = 8.0,
    users: Sequence[str] = (),
    mark: str = "",
    instead_of: str = "",
) -> Finding:
    """Probe the host within `deadline` seconds, whatever it does, and so much later as its login shell is known to need
    (`deadlines.for_check`). Never change what is pinned. `users`: whom services run as there. `mark` is left in the
    folder where it has none, or has `instead_of`."""
    end = time.monotonic() + deadline + deadlines.for_check(endpoint.where)
    limits, nonce = shares(endpoint, deadline), secrets.token_hex(8)
    try:
        with connect(endpoint, limits) as connection:
            finding = Finding(True, offered_key=endpoint.host_key, trusted=True, authenticated=True)
            _judge_algorithms(finding, connection.legacy_in_use, endpoint)
            text = script(base_path, sudo, nonce, users, mark, instead_of)
            answered, answers = _ask(connection, text, nonce, end)
            judge(finding, answers, base_path, sudo, answered)
            if finding.ready:
                _try_copies(finding, connection, endpoint, limits, end)
            return finding
    except (NotTrusted, KeyChanged) as trouble:
        return _untrusted(endpoint, trouble, end)
    except WireError as trouble:
        reached = trouble.reached is not False
        finding = Finding(reached, trouble.message, legacy_needed=_needs_legacy(trouble, endpoint))
        # A host that refuses the login or breaks off after the key exchange has shown the pinned key.
        if reached and isinstance(trouble, AuthRefused | SessionRefused):
            finding.offered_key, finding.trusted = endpoint.host_key, True
        return finding


def script(
    base_path: str, sudo: bool, nonce: str, users: Sequence[str] = (), mark: str = "", instead_of: str = ""
) -> bytes:
    """Return the probe as POSIX shell text. Its lines are `NONCE word value`."""
    place = f"""
d={quote(base_path)}
while [ ! -e "$d" ] && [ "$d" != / ]; do d=${{d%/*}}; d=${{d:-/}}; done
if [ -d "$d" ] && [ -w "$d" ] && [ -x "$d" ]; then say place yes; else say place no; fi
say free "$(df -Pk "$d" 2>/dev/null | {{ read -r _; read -r _ _ _ free _; echo "$free"; }})"
"""
    if mark:
        place += f"""m={quote(base_path)}/.deployer-host
found=
[ ! -r "$m" ] || read -r found <"$m"
if [ -d {quote(base_path)} ] && {{ [ ! -e "$m" ] || {{ [ -n "$found" ] && [ "$found" = {quote(instead_of)} ]; }}; }}
then (umask 022; printf '%s\\n' {quote(mark)} >"$m") 2>/dev/null && found={quote(mark)}
fi
[ -z "$found" ] || say mark "$found"
"""
    if users:
        place += f"""for u in {" ".join(quote(user) for user in users)}; do
sudo -n -u "$u" sh -c : </dev/null >/dev/null 2>&1 || say cannot "$u"
done
"""
    say = f"say() {{ printf '%s\\n' \"{nonce} $1 $2\"; }}\n"
    where = f"sudo -n sh -c {quote(say + place)} </dev/null 2>/dev/null" if sudo else place
    engine = f"sudo -n sh -c {quote(say + engine_probe.SCRIPT)} </dev/null 2>/dev/null" if sudo else engine_probe.SCRIPT
    answered = "if sudo -n true </dev/null >/dev/null 2>&1; then say sudo yes; else say sudo no; fi" if sudo else ""
    return f"""{say}
say uid "$(id -u)"
say user "$(id -un)"
for t in {" ".join(TOOLS)}; do command -v "$t" >/dev/null 2>&1 || say missing "$t"; done
[ -r /proc/uptime ] && [ -r /proc/self/stat ] || say missing /proc
c=/etc/systemd/logind.conf
if grep -qis '^ *KillUserProcesses *= *\\(yes\\|true\\|1\\|on\\)' "$c" "$c".d/*.conf
then [ -e "/var/lib/systemd/linger/$(id -un)" ] || say kills yes
fi
{answered}
{where}
say over yes
{engine}
exit 0
""".encode()


def _needs_legacy(error: WireError, endpoint: Endpoint) -> bool | None:
    """Answer for the host itself only: its jump hosts have rows of their own."""
    here = isinstance(error, NoCommonAlgorithm) and error.facts["where"] == endpoint.where
    return error.legacy_would_do if isinstance(error, NoCommonAlgorithm) and here else None


def _judge_algorithms(finding: Finding, old: list[str], endpoint: Endpoint) -> None:
    finding.legacy_needed = bool(old)
    if old:
        finding.warnings.append(_check("legacy_in_use", algorithms=old))
    elif endpoint.legacy:
        finding.warnings.append(_check("legacy_not_needed"))


def judge(
    finding: Finding, answers: list[tuple[str, str]], base_path: str, sudo: bool, answered: Answered | None = None
) -> Finding:
    """Put the host's answers into the finding, with the first hindrance in words. Pure but for `finding` itself."""
    words = dict(answers)
    finding.user = words.get("user", "")[:64]
    finding.uid = _number(words.get("uid"))
    missing = {value for word, value in answers if word == "missing"}
    finding.tools_missing = [tool for tool in (*TOOLS, "/proc") if tool in missing]  # each once
    finding.sudo_works = words.get("sudo") == "yes" if sudo else None
    finding.base_path_writable = words["place"] == "yes" if "place" in words else None
    finding.mark = "".join(char for char in words.get("mark", "")[:400] if char.isprintable())
    for user in (value for word, value in answers if word == "cannot"):
        finding.warnings.append(_check("run_as_unusable", user=user[:32]))
    finding.engine_state, finding.engine = engine_probe.state_of(words.get("engine"))
    kilobytes = _number(words.get("free"))
    finding.free_bytes = None if kilobytes is None else kilobytes * 1024
    if "kills" in words and finding.uid != 0:
        finding.warnings.append(_check("logind_kills", user=finding.user))
    if finding.free_bytes is not None and finding.free_bytes < MIN_FREE_BYTES:
        finding.warnings.append(_check("little_disk_space", free=finding.free_bytes >> 20))
    answered = answered or Answered(began=0.0)
    _of_login_shell(finding, answered)
    finding.error = _problem(finding, "over" in words, base_path, sudo, answered)
    finding.ready = finding.error is None
    return finding


def _try_copies(finding: Finding, connection: Connection, endpoint: Endpoint, limits: Limits, end: float) -> None:
    """Try whether the host can serve packages. If not, that is no hindrance: they go over hosts' own connections."""
    if endpoint.package_port:
        why = check.why_not_given(connection, endpoint, end)
        finding.serves_packages = not why
        if why:
            finding.warnings.append(_check("cannot_serve_packages", reason=why))
    if endpoint.jump is not None and endpoint.jump.package_port:
        why = check.why_not_fetched(connection, endpoint, limits, end)
        finding.uses_jump_packages = not why
        if why:
            finding.warnings.append(_check("cannot_fetch_packages", reason=why))


def _of_login_shell(finding: Finding, answered: Answered) -> None:
    if answered.began is None:
        return
    finding.shell_seconds = round(answered.began, 1)
    if answered.greeting_size:
        words = " ".join(plain(answered.greeting[-150:]).split())[-100:]
        finding.warnings.append(_check("shell_prints", count=answered.greeting_size, said=words))
    if answered.began > deadlines.SLOW:
        finding.warnings.append(_check("shell_slow", seconds=round(answered.began)))


def _problem(finding: Finding, whole: bool, base_path: str, sudo: bool, answered: Answered) -> Message | None:
    """Return the first thing that prevents deployments."""
    if answered.began is None:
        return _not_run(answered)
    if finding.uid is None:
        return _check("no_command")
    if finding.tools_missing:
        return _check("tools_missing", tools=finding.tools_missing)
    if sudo and not finding.sudo_works:
        return _check("sudo_fails", user=finding.user)
    if finding.base_path_writable is False:
        return _check("base_path_unwritable", path=base_path, user=finding.user)
    return None if whole else _check("incomplete")


def _not_run(answered: Answered) -> Message:
    """Return why our program did not run. An end says that something else did; silence may be a slow login shell."""
    said = clean(answered.noise or answered.greeting)
    quoted = {"said": said} if said else {}
    if code := host_refusals.meaning(f"{answered.greeting} {answered.noise}"):
        return error(code, **quoted)
    if answered.exit_status is None:
        return _check("shell_not_ready", **quoted)
    return error(Code.NOT_RUN, status=answered.exit_status, **quoted)


def _check(name: str, /, **params: Any) -> Message:
    return Message(f"host_check.{name}", params)


def _ask(connection: Connection, text: bytes, nonce: str, end: float) -> tuple[Answered, list[tuple[str, str]]]:
    answered = ask(connection, text, end)
    lines = (line.split(" ", 2) for line in answered.text.splitlines())
    return answered, [(line[1], line[2].strip()) for line in lines if len(line) == 3 and line[0] == nonce]


def _untrusted(endpoint: Endpoint, error: WireError, end: float) -> Finding:
    left = max(1.0, (end - time.monotonic()) / 2)
    try:
        offered = fetch_host_key(endpoint.address, endpoint.port, left / 2, endpoint.jump, endpoint.legacy)
    except WireError as trouble:
        reached = trouble.reached is not False
        return Finding(reached, trouble.message, legacy_needed=_needs_legacy(trouble, endpoint))
    return Finding(True, error.message, offered_key=offered)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
