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
DEEPEST = 3  # sentences inside sentences


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
    plain = str(word).replace("_", " ")
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
    known = gettext(said)
    if known != said:
        return known
    for pattern, translated in _sentences(language):
        if found := pattern.fullmatch(said):
            parts = [_told(part, language, depth - 1) if depth else part for part in found.groups()]
            return translated.format(*parts)
    return said


@lru_cache(maxsize=len(settings.LANGUAGES))
def _sentences(language: str) -> list[tuple[re.Pattern[str], str]]:
    """The catalogue's sentences with places in them, those with the most words of their own first."""
    catalogue = trans_real.translation(language)._catalog  # type: ignore[attr-defined]  # as JavaScriptCatalog does
    found = {
        msgid: msgstr
        for msgid, msgstr in catalogue.items()
        if isinstance(msgid, str) and PLACE.search(msgid) and "\4" not in msgid and msgstr
    }
    ordered = sorted(found.items(), key=lambda pair: len(PLACE.sub("", pair[0])), reverse=True)
    return [(_pattern(msgid), msgstr) for msgid, msgstr in ordered]


def _pattern(msgid: str) -> re.Pattern[str]:
    pieces = PLACE.split(msgid)
    return re.compile("".join(re.escape(piece) if n % 2 == 0 else "(.+)" for n, piece in enumerate(pieces)), re.DOTALL)
