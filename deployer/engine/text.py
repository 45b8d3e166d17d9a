"""What hosts and commands print, as text. The bytes are kept as they came; only what people see is decoded here.

Most print UTF-8. Where a host or a service has another encoding set, lines that are valid in it are read so; without a
setting, an encoding is recognised only where no other fits, and valid UTF-8 is never taken for another.
"""

import codecs
import re
from collections.abc import Callable
from functools import lru_cache, partial

from .errors import InvalidDefinition

# Encodings in which every ASCII byte of a line stands for itself, so that lines, colours and searches stay the same:
# codec → what people call it. (Second bytes of some are ASCII letters, never a control character.)
KNOWN = {
    "utf-8": "UTF-8",
    "gb18030": "GB18030, GBK, GB2312 (simplified Chinese)",
    "big5": "Big5 (traditional Chinese)",
    "cp932": "Shift-JIS, CP932 (Japanese)",
    "euc_jp": "EUC-JP (Japanese)",
    "cp949": "EUC-KR, CP949 (Korean)",
    "cp1252": "Windows-1252, Latin-1 (Western Europe)",
    "iso8859-15": "Latin-9, ISO 8859-15 (Western Europe)",
    "cp850": "CP850 (Western Europe, DOS)",
    "cp1250": "Windows-1250 (Central Europe)",
    "iso8859-2": "Latin-2, ISO 8859-2 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "koi8-r": "KOI8-R (Russian)",
    "cp866": "CP866 (Russian, DOS)",
    "cp1253": "Windows-1253 (Greek)",
    "iso8859-7": "ISO 8859-7 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp1257": "Windows-1257 (Baltic)",
    "cp1258": "Windows-1258 (Vietnamese)",
    "tis-620": "TIS-620 (Thai)",
}
# What a program calls by a narrower name, and one that people know.
_WIDER = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ascii": "utf-8",
    "iso8859-9": "cp1254",
    "cp874": "tis-620",
    "big5hkscs": "big5",
    "cp950": "big5",
}
SAMPLE = 16384  # bytes that are looked at to recognise an encoding
FEWEST = 4  # characters beyond ASCII from which anything is recognised

# The letters that are the same byte in all Western and Central European encodings, so that none needs to be guessed.
_SHARED = frozenset(
    byte
    for byte in range(0xC0, 0x100)
    if len({bytes([byte]).decode(codec, "replace") for codec in ("cp1252", "cp1250", "iso8859-15", "cp1254")}) == 1
    and bytes([byte]).decode("cp1252").isalpha()
)
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")


def normalised(name: str) -> str:
    """Return the name under which an encoding is stored. Raise InvalidDefinition where it is unknown or unusable."""
    name = name.strip()
    if not name:
        return ""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    found = _WIDER.get(found, found)
    if found not in KNOWN:
        raise InvalidDefinition("encoding_unknown", allowed=list(KNOWN))
    return found


def decode(data: bytes, encoding: str = "") -> str:
    """Decode one line, or a few. What is valid in no encoding that comes into question has U+FFFD in its place."""
    if encoding and encoding != "utf-8":
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(encoding or recognised(data) or "utf-8", "replace")


def recognised(data: bytes) -> str:
    """Return the encoding of the lines in `data` that are not UTF-8, where that is beyond doubt; else ""."""
    sample = b"\n".join(line for line in data[:SAMPLE].split(b"\n") if not _is_utf8(line))
    return _recognised(sample) if sample else ""


@lru_cache(maxsize=256)
def _recognised(sample: bytes) -> str:
    fitting = [codec for codec, fits in _FITS.items() if fits(sample)]
    if len(fitting) == 1:
        return fitting[0]
    return "cp1252" if not fitting and _is_western(sample) else ""


def _is_utf8(line: bytes) -> bool:
    """Return whether the line is UTF-8, also where the last character was cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line)
    except UnicodeDecodeError:
        return False
    return True


def _letters(sample: bytes, codec: str) -> str:
    """Return the characters beyond ASCII; "" where they are not valid, but for a last one that was cut off."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeDecodeError:
        return ""
    letters = "".join(char for char in text if char > "\x7f")
    return letters if len(letters) >= FEWEST and letters.isprintable() else ""


def _share(letters: str, *ranges: tuple[str, str]) -> float:
    return sum(any(low <= char <= high for low, high in ranges) for char in letters) / max(1, len(letters))


_HANGUL, _KANA, _HAN = ("\uac00", "\ud7a3"), ("\u3041", "\u30ff"), ("\u4e00", "\u9fff")
_MARKS = (("\u3000", "\u303f"), ("\uff00", "\uff5e"), ("\u2010", "\u2026"), ("\u00a0", "\u00bf"), ("\u2190", "\u25ff"))


def _is_chinese(sample: bytes) -> bool:
    """Return whether most characters are of the first level of GB 2312, which has the everyday ones."""
    letters = _letters(sample, "gb18030")
    return bool(letters) and _everyday(letters, "gb2312", 0xB0, 0xD7) and not _is_korean(sample)


def _is_traditional(sample: bytes) -> bool:
    letters = _letters(sample, "big5")
    return bool(letters) and _everyday(letters, "big5", 0xA4, 0xC6) and not _is_japanese(sample, "euc_jp")


def _everyday(letters: str, codec: str, first: int, last: int) -> bool:
    han = [char.encode(codec, "replace") for char in letters if _HAN[0] <= char <= _HAN[1]]
    common = sum(len(char) == 2 and first <= char[0] <= last for char in han)
    return len(han) >= FEWEST and common >= 0.9 * len(han) and _share(letters, _HAN, *_MARKS) > 0.95


def _is_korean(sample: bytes) -> bool:
    """Require some Korean syllables, and little else: Chinese bytes make such syllables too, about six in ten."""
    letters = _letters(sample, "cp949")
    return len(letters) >= 8 and _share(letters, _HANGUL, *_MARKS) > 0.95 and b" " in sample


def _is_japanese(sample: bytes, codec: str) -> bool:
    letters = _letters(sample, codec)
    return _share(letters, _KANA) > 0.25 and _share(letters, _KANA, _HAN, *_MARKS) > 0.95


_FITS: dict[str, Callable[[bytes], bool]] = {
    "gb18030": _is_chinese,
    "big5": _is_traditional,
    "cp932": partial(_is_japanese, codec="cp932"),
    "euc_jp": partial(_is_japanese, codec="euc_jp"),
    "cp949": _is_korean,
}


def _is_western(sample: bytes) -> bool:
    """Look for words of ASCII letters and a few others that are the same in every encoding of their kind."""
    words = [word for word in _WORD.findall(sample) if not word.isascii()]
    high = sum(byte > 0x7F for word in words for byte in word)
    return (
        bool(words)
        and 3 * high <= sum(map(len, words))
        and _SHARED.issuperset(byte for word in words for byte in word if byte > 0x7F)
        and sum(byte > 0x7F for byte in sample) == high
    )
