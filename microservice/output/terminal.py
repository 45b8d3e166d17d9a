"""Renders output as harmless HTML: colours become CSS classes, every other control sequence is dropped.

Output of a host is hostile: it is escaped here, characters that reorder or hide text are shown by their code, and long
lines are clipped. No other code in the console may turn output into markup.
"""

import re
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from deployer.engine.text import decode, recognised

LINE_LIMIT = 4000  # characters of one line that are shown

# CSI, OSC (ended by BEL or ST, or by the line's end), DCS and its kin, two-byte escapes, a lone ESC; both 7 and 8 bit.
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<arguments>[0-?]{0,64})[ -/]{0,8}(?P<final>[@-~])?"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)
# Control characters, and characters that reorder, join or hide text: shown by their code.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
WEIGHTS = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
ENDS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}, 39: set(COLOURS)}
KNOWN = frozenset(COLOURS) | frozenset(WEIGHTS.values())


@dataclass(frozen=True, slots=True)
class Rendered:
    """Output as HTML, and the style with which the next piece starts (words separated by spaces).

    `whole`: the text is complete: no line was clipped or rewritten.
    """

    html: SafeString
    style: str
    whole: bool = True


def render(data: bytes | str, style: str = "", encoding: str = "", frames: bool = False) -> Rendered:
    """Render output as escaped HTML, starting in `style` (of the piece before; unknown words are ignored).

    Of a line that was rewritten, the last frame is shown, or with `frames` all of them, one below the other.
    """
    text = decoded(data, encoding) if isinstance(data, bytes) else data
    if frames:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    now = frozenset(style.split()) & KNOWN
    out: list[str] = []
    whole = True
    for number, line in enumerate(text.split("\n")):
        if number:
            out.append("\n")
        now, shown = _line(out, line, now)
        whole = whole and shown
    return Rendered(mark_safe("".join(out)), " ".join(sorted(now)), whole)  # noqa: S308  _write escaped every piece


def decoded(data: bytes, encoding: str = "") -> str:
    """Decode each line by itself, because several programs may print into one output."""
    if not encoding or encoding == "utf-8":
        try:
            return data.decode()
        except UnicodeDecodeError:
            encoding = encoding or recognised(data)
    return "\n".join(decode(line, encoding) for line in data.split(b"\n"))


def has_text(frame: bytes | str) -> bool:
    """Return whether the frame has visible text."""
    text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame
    return bool(SEQUENCE.sub("", text).strip())


def plain(text: str) -> str:
    """Return output as plain text, for a title or an error: without sequences, hidden characters by their code."""
    return HIDDEN.sub(lambda match: _name(match[0]), SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def end_of(line: str) -> str:
    """Return the last frame of a line of which only the end was read, marked with an ellipsis."""
    return "… " + _last_frame(line.rstrip("\r"))[1]


def _line(out: list[str], line: str, style: frozenset[str]) -> tuple[frozenset[str], bool]:
    """Append one line; return the style after it, and whether all of it is shown."""
    line, earlier = line.rstrip("\r"), 0
    if "\r" in line:
        hidden, line, earlier = _last_frame(line)
        for match in SEQUENCE.finditer(hidden):
            style = _restyle(style, match["arguments"]) if match["final"] == "m" else style
    room, at = LINE_LIMIT, 0
    for match in SEQUENCE.finditer(line):
        room = _write(out, line[at : match.start()], style, room)
        at = match.end()
        if match["final"] == "m":
            style = _restyle(style, match["arguments"])
    room = _write(out, line[at:], style, room)
    if earlier:
        note = ngettext("%(n)d earlier state of this line", "%(n)d earlier states of this line", earlier)
        out.append(f' <span class="clipped">… {escape(note % {"n": earlier})}</span>')
    return style, room >= 0 and not earlier


def _last_frame(line: str) -> tuple[str, str, int]:
    """Return (everything before the last visible frame, that frame, the number of visible frames before it)."""
    frames = line.split("\r")
    seen = [number for number, frame in enumerate(frames) if has_text(frame)]
    number = seen[-1] if seen else len(frames) - 1
    return "\r".join(frames[:number]), frames[number], max(0, len(seen) - 1)


def _write(out: list[str], text: str, style: frozenset[str], room: int) -> int:
    """Append `text` in `style`; return how many characters the line may still have (below 0: clipped)."""
    if not text or room < 0:
        return room
    written = _visible(text[:room])
    if len(text) > room:
        note = escape(gettext("… the rest of this line is not shown (over %(n)d characters)") % {"n": LINE_LIMIT})
        written += f'<span class="clipped">{note}</span>'
        room = -1
    else:
        room -= len(text)
    names = " ".join(f"t-{word}" for word in sorted(style))
    out.append(f'<span class="{names}">{written}</span>' if names and written else written)
    return room


def _visible(line: str) -> str:
    """Return escaped text with spans in place of hidden characters."""
    parts: list[str] = []
    at = 0
    for match in HIDDEN.finditer(line):
        parts.append(escape(line[at : match.start()]))
        parts.append(f'<span class="seen">{_name(match[0])}</span>')
        at = match.end()
    parts.append(escape(line[at:]))
    return "".join(parts)


def _name(character: str) -> str:
    code = ord(character)
    return f"^{chr(code ^ 0x40)}" if code < 0x20 else f"U+{code:04X}"


def _restyle(style: frozenset[str], arguments: str) -> frozenset[str]:
    """Return the style after one SGR sequence. Backgrounds and 256 colours are ignored: contrast cannot be ensured."""
    codes = [int(part) if part.isdigit() else 0 for part in arguments.replace(":", ";").split(";")]
    now = set(style)
    at = 0
    while at < len(codes):
        code = codes[at]
        if code in (38, 48):
            at += 3 if codes[at + 1 : at + 2] == [5] else 5
            continue
        if code == 0:
            now.clear()
        elif code in WEIGHTS:
            now.add(WEIGHTS[code])
        elif code in ENDS:
            now -= ENDS[code]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            now = now - set(COLOURS) | {COLOURS[code % 10]}
        at += 1
    return frozenset(now)
