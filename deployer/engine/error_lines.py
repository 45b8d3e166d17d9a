"""Which of the lines that a command printed last says why it failed. Pure.

Programs end an error with what is no cause: how to ask for help, where a log was put, the frames of a trace, that
"previous errors" made them fail. A terminal's own marks are taken off first: colours, and all but the last frame of a
line that was rewritten with a carriage return.
"""

import re
from collections.abc import Sequence

# CSI, OSC and its kin, two-byte escapes: as in microservice/output/terminal.py, but without a need for their meaning.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)
_SPACE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
LOOKED_AT = 200  # lines, from the end
LONGEST = 2000  # characters of one line that are looked at


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


# Whole lines, whatever their case; for each there is real output in tests/engine/test_error_lines.py.
_NO_CAUSE = _patterns(
    r"\W*",  # rules, prompts, closing brackets
    r"(?:run|see|try|use|type)\b.{0,40}(?:--help|-h\b|\bhelp\b|\bman\b).*",  # Run 'docker run --help' for more …
    r".{0,200}\bfor (?:more information|more details|usage|help|details)\b.*",
    r"(?:usage|synopsis|hint|note):.*",
    r"see .{0,200}\b(?:systemctl status|journalctl)\b.*",
    r"npm (?:err!|error)(?: \w+)?",
    r"npm (?:err!|error)\s{1,9}(?:a complete log of this run|[\w./\\: -]{0,300}_logs\b|at ).*",
    r"npm (?:err!|error)\s{1,9}\w{1,40} this is related to npm.*",
    r"npm (?:err!|error)\s+(?:code|errno|syscall|path|dest|cwd|command|lifecycle|node|npm|os|argv)\b.*",
    r"info (?:visit|if you think this is a bug).*",  # yarn
    r"at (?:async .*|[\w$.]{1,200}.{0,200}\(.*|(?:file|node|/).*|.{0,500}:\d{1,9}:\d{1,9})",  # a frame
    r"\.\.\. \d+ (?:more|common frames omitted|lines? matching.*)",
    r"emitted 'error' event .*",
    r"require stack:|- /\S+\.[cm]?js",
    r"node\.js v\d.*",
    r"\[error\] (?:\[help \d+\]|to see the full|re-run maven|for more information|-> \[help).*|\[error\]",
    r"is the server running .*\?",
    r"(?:erro\[\d+\] |time=\S+ level=error msg=\"?)error waiting for container:.*",
    r"goroutine \d+ \[.*",
    r"\+ .*",  # set -x
)
# What only sums up what was said before: taken where nothing else was said.
_SUMMARY = _patterns(
    r"npm (?:err!|error)\s{1,9}(?:failed at the .{0,200} script\.?|exit status \d+)",
    r"npm (?:err!|error)\s{1,9}\S{1,200}@\S{1,200} \w{1,40}: `.*`",
    r"tar: (?:exiting with failure status.*|error is not recoverable: exiting now|child returned status \d+)",
    r"make(?:\[\d+\])?: (?:\*\*\* .*|(?:leaving|entering) directory.*)",
    r"(?:the )?(?:command|process|script|build|compilation)\b.{0,200}"
    r"\b(?:exited|terminated|failed|returned)\b(?: with| a)?(?: non-zero)?(?: exit)?(?: code| status)?:? ?\d*\.?",
    r"exit (?:code|status):? \d+\.?",
    r"nginx: configuration file .*test failed",
    r"error: failed to (?:run|start) .{0,300}: exit status \d+",
)
_FRAME = re.compile(
    r"\s{1,200}at\s{1,9}\S|\s{0,200}\.\.\. \d{1,9} (?:more|common)|\s{1,200}\^"  # Java, node
    r"|\s{0,200}File \".{0,500}\", line \d+"  # Python
    r"|goroutine \d+ \[|\S{1,500}\((?:\.\.\.|0x[0-9a-f, x.{}?]{0,200})?\)$|\s{1,200}\S{1,500}\.go:\d+"  # Go
    r"|created by \S+|exit status \d+$"
    r"|\s{1,200}\d+: |\s{1,200}from \S{1,500}:\d+:in "  # Rust, Ruby
    # What node says of an error.
    r"|\s{0,200}(?:code|errno|syscall|address|port|path|dest|requireStack|hostname): .*,?$"
)
_GO_PANIC = re.compile(r"panic: |fatal error: ")


def bare(line: str) -> str:
    """Return the line as a terminal finally shows it: its last frame, on one line, without control characters."""
    line = _SEQUENCE.sub("", line[-LONGEST:])
    frames = [frame for frame in line.split("\r") if frame.strip()]
    return " ".join(_SPACE.sub(" ", frames[-1] if frames else "").split()) if frames else ""


def cause(lines: Sequence[str]) -> str:
    """Return the line that names the cause, as `bare` gives it; "" where nothing was printed."""
    printed = [(text, _indented(line)) for line in lines[-LOOKED_AT:] if (text := bare(line))]
    # Go's message stands above all goroutines.
    panics = any(text.startswith("goroutine ") for text, _ in printed)
    if panics and (panic := next((text for text, _ in printed if _GO_PANIC.match(text)), "")):
        return panic
    candidates = [text for text, raw in printed if not (_FRAME.match(raw) or _matches(text, _NO_CAUSE))]
    causes = (
        [text for text in candidates if not _matches(text, _SUMMARY)] or candidates or [text for text, _ in printed]
    )
    return causes[-1] if causes else ""


def _matches(text: str, kinds: Sequence[re.Pattern[str]]) -> bool:
    return any(kind.fullmatch(text) for kind in kinds)


def _indented(line: str) -> str:
    """Return the line with the blanks it begins with, which tell a frame from a message."""
    return _SEQUENCE.sub("", line[-LONGEST:]).rstrip("\r").rpartition("\r")[2]
