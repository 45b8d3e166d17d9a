"""The console's language. Of the API, and of what is kept in rows, it is always English.

Rules speak English, because what they say may be kept, logged and read by machines. A page says the same sentence in
the reader's language (`told`): it finds which sentence of the catalogue it is, whatever names stand in it.
"""

import re
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
LONGEST = 2000  # characters of a text that is looked up; longer ones come from hosts and are no sentences of ours
DEEPEST = 5  # sentences inside sentences
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")
FULL_STOP = "。"
TAIL = re.compile(r"(?P<head>.+?)(?: \(and (?P<more>\d+) more\)|, and (?P<like>\d+) more like it)\.?", re.DOTALL)
# A rule's place in a request, and what it says of it.
FIELD = re.compile(r"(?P<name>[\w./-]+): (?P<reason>.+)", re.DOTALL)
# Words that the rules put into their sentences, besides statuses, actions and roles.
WORDS = ("newer", "older", "operation", "action", "member", "delivery", "origin", "past setting", "nobody", "release")


Sentence = tuple[re.Pattern[str], str]


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


def term(word: object) -> str:
    """A word of the API (a status, an action, a role, a field's name) in the reader's language."""
    plain = "" if word is None else str(word).replace("_", " ")
    return pgettext("term", plain) if plain else ""


def told(text: object) -> str:
    """An English sentence of the rules in the reader's language; as it is where the catalogue does not know it."""
    said = str(text or "")
    language = translation.get_language() or ENGLISH
    if not said or len(said) > LONGEST or language == ENGLISH:
        return said
    return _told(said, language, DEEPEST)


@lru_cache(maxsize=1024)  # a list of what was left out says the same a hundred times
def _told(said: str, language: str, depth: int) -> str:
    if not (said and depth):
        return said
    compound, simple = _sentences(language)
    found = _word(said) or _matched(said, compound, language, depth)
    if found:
        return found
    if tail := TAIL.fullmatch(said):
        more = gettext(" (and {0} more)").format(tail["more"] or tail["like"])
        return _told(tail["head"], language, depth) + more + (FULL_STOP if said.endswith(".") else "")
    if field := FIELD.fullmatch(said):
        reason = _told(field["reason"], language, depth - 1)
        if reason != field["reason"]:
            return gettext("{0}: {1}").format(_word(field["name"]) or field["name"], reason)
    if len(parts := SENTENCE_END.split(said)) > 1:
        return " ".join(_told(part, language, depth - 1) for part in parts).replace(f"{FULL_STOP} ", FULL_STOP)
    stopped = said.endswith(".")
    for text in (said, said[0].lower() + said[1:]):
        if found := _word(text) or _matched(text, simple, language, depth, stopped):
            return found
    if stopped and (found := _told(said[:-1], language, depth - 1)) != said[:-1]:
        return found + FULL_STOP
    name, _, rest_of_it = said.partition(" ")
    found = _word(rest_of_it) or _matched(rest_of_it, simple, language, depth)
    return f"{name} {found}" if found else said


def _word(said: str) -> str:
    """What the catalogue has for exactly this; "" where it has nothing. One word is a term or a name, no sentence."""
    known = gettext(said) if " " in said else pgettext("term", said) if said else said
    return "" if known == said else known


def _matched(said: str, sentences: list[Sentence], language: str, depth: int, stopped: bool = False) -> str:
    """The first sentence that it can be. A full stop (`stopped`) is the sentence's own and no part of a name."""
    for pattern, translated in sentences if said else ():
        if (found := pattern.fullmatch(said)) and not (stopped and found.end(pattern.groups) == len(said)):
            return translated.format(*(_told(part, language, depth - 1) for part in found.groups()))
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
    return ([(_pattern(msgid), found[msgid]) for msgid in compound], [(_pattern(one), found[one]) for one in simple])


def _pattern(msgid: str) -> re.Pattern[str]:
    pieces = PLACE.split(msgid)
    return re.compile("".join(re.escape(piece) if n % 2 == 0 else "(.*?)" for n, piece in enumerate(pieces)), re.DOTALL)
