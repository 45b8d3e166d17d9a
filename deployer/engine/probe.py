"""The host check: connects as a worker would, looks around, and says in words what is in the way. It changes nothing
but the mark of the folder, which says whose it is."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from . import deadlines, host_refusals
from .attempt import clean
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
LITTLE = 100 << 20  # bytes of free disk below which a warning is given


@dataclass
class Finding:
    """What a host check found. None where it did not come so far. `error` is the first thing in the way, `next_step`
    what to do about it; `warnings` are no hindrance. Sizes are in bytes."""

    reachable: bool
    error: str = ""
    next_step: str = ""
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
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict:
        return asdict(self)


def probe(
    endpoint: Endpoint,
    base_path: str,
    sudo: bool,
    deadline: float = 8.0,
    users: Sequence[str] = (),
    mark: str = "",
    instead_of: str = "",
) -> Finding:
    """Answers within `deadline` seconds, whatever the host does, and so much later as its login shell is known to need
    (`pace.for_check`). Never changes what is pinned. `users`: whom services run as there. `mark` is left in the folder
    where it has none, or has `instead_of`."""
    end = time.monotonic() + deadline + deadlines.for_check(endpoint.where)
    limits, nonce = shares(endpoint, deadline), secrets.token_hex(8)
    try:
        with connect(endpoint, limits) as connection:
            finding = Finding(True, offered_key=endpoint.host_key, trusted=True, authenticated=True)
            _judge_algorithms(finding, connection.legacy_in_use, endpoint)
            text = script(base_path, sudo, nonce, users, mark, instead_of)
            answered, told = _ask(connection, text, nonce, end)
            judge(finding, told, base_path, sudo, answered)
            if finding.ready:
                _try_copies(finding, connection, endpoint, limits, end)
            return finding
    except (NotTrusted, KeyChanged) as error:
        return _untrusted(endpoint, error, end)
    except WireError as error:
        reached = error.reached is not False
        finding = Finding(reached, str(error), error.hint, legacy_needed=_needs_legacy(error, endpoint))
        # Whoever refuses a log-in or breaks off after the key exchange has shown the pinned key.
        if reached and isinstance(error, AuthRefused | SessionRefused):
            finding.offered_key, finding.trusted = endpoint.host_key, True
        return finding


def script(
    base_path: str, sudo: bool, nonce: str, users: Sequence[str] = (), mark: str = "", instead_of: str = ""
) -> bytes:
    """The look around, as POSIX shell text. Its lines are `NONCE word value`."""
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
exit 0
""".encode()


def _needs_legacy(error: WireError, endpoint: Endpoint) -> bool | None:
    """True only for the host itself: its jump hosts have rows of their own."""
    here = isinstance(error, NoCommonAlgorithm) and error.facts["where"] == endpoint.where
    return error.legacy_would_do if isinstance(error, NoCommonAlgorithm) and here else None


def _judge_algorithms(finding: Finding, old: list[str], endpoint: Endpoint) -> None:
    finding.legacy_needed = bool(old)
    if old:
        finding.warnings.append(
            f"It is spoken to with old algorithms, which are weaker: {', '.join(old)}. Update its SSH server."
        )
    elif endpoint.legacy:
        finding.warnings.append("It needs no legacy algorithms: take legacy_algorithms off its row.")


def judge(
    finding: Finding, told: list[tuple[str, str]], base_path: str, sudo: bool, answered: Answered | None = None
) -> Finding:
    """Puts the host's answers into the finding, with the first hindrance in words. Pure but for `finding` itself."""
    words = dict(told)
    finding.user = words.get("user", "")[:64]
    finding.uid = _number(words.get("uid"))
    missing = {value for word, value in told if word == "missing"}
    finding.tools_missing = [tool for tool in (*TOOLS, "/proc") if tool in missing]  # each once
    finding.sudo_works = words.get("sudo") == "yes" if sudo else None
    finding.base_path_writable = words["place"] == "yes" if "place" in words else None
    finding.mark = "".join(char for char in words.get("mark", "")[:400] if char.isprintable())
    for user in (value for word, value in told if word == "cannot"):
        finding.warnings.append(
            f"sudo -n -u {user[:32]} does not work: services that run as it cannot be deployed here. "
            "Make the user, and allow it in sudoers."
        )
    kilobytes = _number(words.get("free"))
    finding.free_bytes = None if kilobytes is None else kilobytes * 1024
    if "kills" in words and finding.uid != 0:
        finding.warnings.append(
            f"logind ends what {finding.user} leaves running (KillUserProcesses): run `loginctl enable-linger` for it."
        )
    if finding.free_bytes is not None and finding.free_bytes < LITTLE:
        finding.warnings.append(f"Only {finding.free_bytes >> 20} MiB are free on the disk.")
    answered = answered or Answered(began=0.0)
    _of_login_shell(finding, answered)
    finding.error, finding.next_step = _hindrance(finding, "over" in words, base_path, sudo, answered)
    finding.ready = not finding.error
    return finding


def _try_copies(finding: Finding, connection: Connection, endpoint: Endpoint, limits: Limits, end: float) -> None:
    """No hindrance where it does not work: packages then go over each host's own connection."""
    if endpoint.package_port:
        reason = check.why_not_given(connection, endpoint, end)
        finding.serves_packages = not reason
        if reason:
            finding.warnings.append(f"It cannot give packages to the hosts behind it: {reason}.")
    if endpoint.jump is not None and endpoint.jump.package_port:
        reason = check.why_not_fetched(connection, endpoint, limits, end)
        finding.uses_jump_packages = not reason
        if reason:
            finding.warnings.append(f"It cannot fetch packages from its jump host: {reason}.")


def _of_login_shell(finding: Finding, answered: Answered) -> None:
    if answered.began is None:
        return
    finding.shell_seconds = round(answered.began, 1)
    if answered.greeting_size:
        words = " ".join(plain(answered.greeting[-150:]).split())[-100:]
        finding.warnings.append(
            f"The login shell prints {answered.greeting_size} bytes before every command, such as: {words}. They "
            "are left out of what operations print, and break scp and rsync: print it in interactive shells only."
        )
    if answered.began > deadlines.SLOW:
        finding.warnings.append(
            f"The login shell takes {answered.began:.0f} s to begin a command, and every operation waits for it: look "
            "at /etc/profile, ~/.profile and ~/.bashrc."
        )


def _hindrance(finding: Finding, whole: bool, base_path: str, sudo: bool, answered: Answered) -> tuple[str, str]:
    if answered.began is None:
        return _not_run(answered)
    if finding.uid is None:
        return "The user logs in, but no command runs.", "Give the user a POSIX shell, and take ForceCommand away."
    if finding.tools_missing:
        missing = ", ".join(finding.tools_missing)
        return f"Missing on the host: {missing}.", "Install them: util-linux, coreutils, tar and gzip bring them."
    if sudo and not finding.sudo_works:
        return "sudo -n asks for a password or does not exist.", f"Allow {finding.user} NOPASSWD for sh in sudoers."
    if finding.base_path_writable is False:
        return f"{base_path} cannot be written or made.", f"Make it on the host, owned by {finding.user}."
    if not whole:
        return "The host did not answer all questions in time.", "Is it under heavy load, or a disk not answering?"
    return "", ""


def _not_run(answered: Answered) -> tuple[str, str]:
    """Nothing of ours was run. An end says that something else was; silence may be a login shell that takes long."""
    if code := host_refusals.meaning(f"{answered.greeting} {answered.noise}"):
        return host_refusals.SENTENCES[code], host_refusals.NEXT[code]
    words = f" It said: {text}" if (text := clean(answered.noise or answered.greeting)) else ""
    if answered.exit_status is None:
        return (
            f"The login shell has not begun a command in time.{words}",
            "Check again: the next check waits for longer, and operations wait for a minute or more. Look at what "
            "/etc/profile, ~/.profile and ~/.bashrc do, and whether a menu or a forced command waits for input.",
        )
    ended = f"(exit status {answered.exit_status})"
    return (
        f"The user logs in, but something else ran in the place of our command {ended}.{words}",
        "Give the user a POSIX shell, and take away what runs instead: command=… in its authorized_keys, ForceCommand "
        "in sshd_config, a restricted shell such as git-shell, or nologin.",
    )


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
        return Finding(reached, str(trouble), trouble.hint, legacy_needed=_needs_legacy(trouble, endpoint))
    return Finding(True, str(error), error.hint, offered_key=offered)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
