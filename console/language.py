"""The console's language. The API, and what rows keep, is always English.

Texts are rendered in the language that is active: `access.problems` and `messages.rendering` do so when they are read.
"""

from functools import lru_cache
from hashlib import sha256

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.cache import patch_cache_control
from django.views.i18n import JavaScriptCatalog

ENGLISH = "en"
MACHINE_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")  # never translated


class LanguageMiddleware(LocaleMiddleware):
    """Django's own, for pages only: the language cookie, then Accept-Language, then English."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(MACHINE_PATHS):
            translation.activate(ENGLISH)
        else:
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if request.path_info.startswith(MACHINE_PATHS) else super().process_response(request, response)


def script_words(request: HttpRequest, language: str, version: str) -> HttpResponseBase:
    """Serve the texts of the page's scripts (`gettext`, `ngettext`). Its URL changes with the catalogue."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        response = JavaScriptCatalog.as_view(packages=[])(request)
    patch_cache_control(response, public=True, max_age=31_536_000 if version == catalogue_version() else 0)
    return response


@lru_cache(maxsize=1)
def catalogue_version() -> str:
    """Return a text that changes whenever a catalogue does."""
    digest = sha256()
    for root in settings.LOCALE_PATHS:
        for path in sorted(root.rglob("*.mo")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
