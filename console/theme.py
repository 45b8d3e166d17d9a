"""The console's theme: the browser's own, light or dark.

It is kept for each person. A cookie keeps it too, for pages that know no person: signing in, and errors.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from .models import Preference, Theme
from .returning import go_back

COOKIE = "theme"
COOKIE_AGE = 365 * 86400  # seconds


def theme_of(request: HttpRequest | None) -> str:
    """Return the theme of a page: its person's, or without one the browser's cookie. At most one query."""
    if request is None:
        return Theme.SYSTEM
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return Preference.objects.filter(pk=user.pk).values_list("theme", flat=True).first() or Theme.SYSTEM
    return cookie_theme(request)


def cookie_theme(request: HttpRequest) -> str:
    """Return the theme that this browser chose last. No query."""
    chosen = request.COOKIES.get(COOKIE, "")
    return chosen if chosen in Theme.values else Theme.SYSTEM


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the posted theme for the person and the browser, and return to the page where it was chosen."""
    chosen, response = request.POST.get("theme", ""), go_back(request)
    if chosen in Theme.values:
        if request.user.is_authenticated:
            Preference.objects.update_or_create(pk=request.user.pk, defaults={"theme": chosen})
        response.set_cookie(COOKIE, chosen, COOKIE_AGE, secure=settings.SECURE, httponly=True, samesite="Lax")
    return response
