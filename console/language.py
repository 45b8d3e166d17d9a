"""The console's language. Of the API, and of what is kept in rows, it is always English.

Rules speak English, because what they say may be kept, logged and read by machines. A page says the same sentence in
the reader's language (`told`): it finds which sentence of the catalogue it is, whatever names stand in it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext, pgettext, trans_real
from django.views.i18n import JavaScriptCatalog

ENGLISH = "en"
# What machines read is never translated.
MACHINES = ("/api/", "/healthz", "/readyz", "/metrics")
# Where a sentence of the catalogue has a name or a number in it: {0}, {1} …
PLACE = re.compile(r"\{(\d)\}")
LONGEST = 2000  # characters of a text in which sentences are looked for
LONGEST_SENTENCE = 300  # characters of one that is looked up; longer ones come from hosts and are no sentences of ours
DEEPEST = 5  # sentences inside sentences
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")
FULL_STOP = "。"
# A rule's place in a request, before what it says of it.
FIELD = re.compile(r"[\w./-]+")
# What follows a sentence that stands for several: before its number, and behind it.
TAILS = ((" (and ", " more)"), (", and ", " more like it"))
# Words that the rules put into their sentences, besides statuses, actions and roles.
WORDS = (
    "newer",
    "older",
    "operation",
    "action",
    "member",
    "delivery",
    "origin",
    "past setting",
    "nobody",
    "release",
    "session",
    "packing",
    "namespaces",
    "watched",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the catalogue, by what stands between its places. No regular expression: those that have several
    places take the square of a text's length or worse, and hosts choose what is looked up."""

    pieces: tuple[str, ...]
    translated: str

    @property
    def ends_open(self) -> bool:
        return not self.pieces[-1]

    def parts(self, said: str) -> list[str] | None:
        """What stands in its places, each as short as can be; None where it is another sentence. Linear: every piece is
        looked for once, behind the one before."""
        first, *middle, last = self.pieces
        end = len(said) - len(last)
        at = len(first)
        if at > end or not (said.startswith(first) and said.endswith(last)):
            return None
        parts = []
        for piece in middle:
            found = said.find(piece, at, end)
            if found < 0:
                return None
            parts.append(said[at:found])
            at = found + len(piece)
        return [*parts, said[at:end]]


class LanguageMiddleware(LocaleMiddleware):
    """Django's own, for people only: the language cookie, then Accept-Language, then English."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(MACHINES):
            translation.activate(ENGLISH)
        else:
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if request.path_info.startswith(MACHINES) else super().process_response(request, response)


def script_words(request: HttpRequest, language: str, version: str) -> HttpResponseBase:
    """The words of the page's scripts, as `gettext` and its kin. Its address changes with the catalogue."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        response = JavaScriptCatalog.as_view(packages=[])(request)
    patch_cache_control(response, public=True, max_age=31_536_000 if version == catalogue_version() else 0)
    return response


@lru_cache(maxsize=1)
def catalogue_version() -> str:
    """A word that changes whenever a catalogue does."""
    found = sha256()
    for root in settings.LOCALE_PATHS:
        for path in sorted(root.rglob("*.mo")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def told(text: object) -> str:
    """An English sentence of the rules in the reader's language; as it is where the catalogue does not know it."""
    said = str(text or "")
    language = translation.get_language() or ENGLISH
    if not said or len(said) > LONGEST or language == ENGLISH:
        return said
    if len(said) > LONGEST_SENTENCE:
        parts = [_told(part, language, DEEPEST) if len(part) <= LONGEST_SENTENCE else part for part in _split(said)]
        return _joined(parts)
    return _told(said, language, DEEPEST)


def known(text: object) -> str:
    """What a host says, in the reader's language where it is word for word a text of the catalogue; else as it is."""
    said = str(text or "")
    return (_word(said) if 0 < len(said) <= LONGEST_SENTENCE else "") or said


@lru_cache(maxsize=1024)  # a list of what was left out says the same a hundred times
def _told(said: str, language: str, depth: int) -> str:
    if not (said and depth):
        return said
    compound, simple = _sentences(language)
    found = _word(said) or _matched(said, compound, language, depth)
    if found:
        return found
    if tail := _tail(said):
        more = gettext(" (and {0} more)").format(tail[1])
        return _told(tail[0], language, depth) + more + (FULL_STOP if said.endswith(".") else "")
    name, colon, rest = said.partition(": ")
    if colon and rest and FIELD.fullmatch(name):
        reason = _told(rest, language, depth - 1)
        if reason != rest:
            return gettext("{0}: {1}").format(_word(name) or name, reason)
    if len(parts := _split(said)) > 1:
        return _joined([_told(part, language, depth - 1) for part in parts])
    stopped = said.endswith(".")
    for text in (said, said[0].lower() + said[1:]):
        if found := _word(text) or _matched(text, simple, language, depth, stopped):
            return found
    if stopped and (found := _told(said[:-1], language, depth - 1)) != said[:-1]:
        return found + FULL_STOP
    name, _, rest_of_it = said.partition(" ")
    found = _word(rest_of_it) or _matched(rest_of_it, simple, language, depth)
    return f"{name} {found}" if found else said


def _split(said: str) -> list[str]:
    return SENTENCE_END.split(said)


def _joined(parts: list[str]) -> str:
    return " ".join(parts).replace(f"{FULL_STOP} ", FULL_STOP)


def _tail(said: str) -> tuple[str, str] | None:
    """What stands before "(and 3 more)", and the number."""
    text = said.removesuffix(".")
    for before, behind in TAILS:
        head, found, number = text.removesuffix(behind).rpartition(before)
        if text.endswith(behind) and head and found and number.isdecimal():
            return head, number
    return None


def _word(said: str) -> str:
    """What the catalogue has for exactly this; "" where it has nothing. One word is a term or a name, no sentence."""
    known = gettext(said) if " " in said else pgettext("term", said) if said else said
    return "" if known == said else known


def _matched(said: str, sentences: list[Sentence], language: str, depth: int, stopped: bool = False) -> str:
    """The first sentence that it can be. A full stop (`stopped`) is the sentence's own and no part of a name."""
    for sentence in sentences if said else ():
        if stopped and sentence.ends_open:
            continue
        if (parts := sentence.parts(said)) is not None:
            return sentence.translated.format(*(_told(part, language, depth - 1) for part in parts))
    return ""


@lru_cache(maxsize=len(settings.LANGUAGES))
def _sentences(language: str) -> tuple[list[Sentence], list[Sentence]]:
    """The catalogue's sentences with places in them: those made of several, and the others. The most telling first."""
    catalogue = trans_real.translation(language)._catalog  # type: ignore[attr-defined]  # as JavaScriptCatalog does
    found = {
        msgid: msgstr
        for msgid, msgstr in catalogue.items()
        if isinstance(msgid, str) and PLACE.search(msgid) and "\4" not in msgid and msgstr
    }
    ordered = sorted(found, key=lambda msgid: (msgid.startswith("{"), -len(PLACE.sub("", msgid))))
    compound = [msgid for msgid in ordered if SENTENCE_END.search(PLACE.sub(".", msgid))]
    simple = [msgid for msgid in ordered if msgid not in compound]
    of = lambda msgids: [Sentence(tuple(PLACE.split(msgid)[::2]), found[msgid]) for msgid in msgids]
    return of(compound), of(simple)
