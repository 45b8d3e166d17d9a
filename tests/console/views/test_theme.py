"""The head of every page: its menu, and the theme, which is kept for each person."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from console.models import Preference

from ..markup import markup

pytestmark = pytest.mark.django_db


def theme_of(page: str) -> tuple[str, str, str]:
    """Return what the document, the browser's own controls and the menu show."""
    return (
        re.search(r'<html[^>]* data-theme="(\w+)"', page)[1],
        re.search(r'name="color-scheme" content="([\w ]+)"', page)[1],
        re.search(r'name="theme" value="(\w+)" aria-pressed="true"', page)[1],
    )


def test_theme_is_kept_for_each_person(admin, operator):
    assert theme_of(markup(admin.get("/"))) == ("system", "light dark", "system")
    answer = admin.post("/theme/", {"theme": "dark", "next": "/hosts/?q=a"})
    assert answer.status_code == 302 and answer["Location"] == "/hosts/?q=a"
    assert theme_of(markup(admin.get("/hosts/"))) == ("dark", "dark", "dark")
    elsewhere = Client()  # without this browser's cookie
    elsewhere.force_login(get_user_model().objects.get(username="ada"))
    assert theme_of(markup(elsewhere.get("/")))[0] == "dark"
    operator.cookies["theme"] = "light"  # of whoever used this browser before
    assert theme_of(markup(operator.get("/")))[0] == "system"
    admin.post("/theme/", {"theme": "light"})
    assert theme_of(markup(admin.get("/"))) == ("light", "light", "light")
    assert Preference.objects.count() == 1


def test_browser_keeps_theme_of_sign_in_page():
    anyone = Client()
    assert theme_of(markup(anyone.get("/login/")))[0] == "system"
    cookie = anyone.post("/theme/", {"theme": "dark", "next": "/login/?next=/hosts/"}).cookies["theme"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert theme_of(markup(anyone.get("/login/")))[0] == "dark"
    assert theme_of(markup(anyone.get("/nothing-here/")))[0] == "dark"
    assert Preference.objects.count() == 0
    anyone.cookies["theme"] = '"><script>'
    assert theme_of(markup(anyone.get("/login/")))[0] == "system"


@pytest.mark.parametrize("theme", ["", "pink", "dark\0", '"><script>'])
def test_unknown_theme_changes_nothing(admin, theme):
    answer = admin.post("/theme/", {"theme": theme})
    assert answer.status_code == 302 and "theme" not in answer.cookies
    assert Preference.objects.count() == 0


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
def test_theme_returns_within_site(admin, back):
    assert admin.post("/theme/", {"theme": "dark", "next": back})["Location"] == "/"


def test_theme_needs_token(admin):
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(get_user_model().objects.get(username="ada"))
    assert guarded.post("/theme/", {"theme": "dark"}).status_code == 403
    assert Preference.objects.count() == 0


def test_menu_needs_no_script(admin):
    page = markup(admin.get("/"))
    for name in re.findall(r'popovertarget="([\w-]+)"', page):
        assert re.search(rf'id="{name}" popover', page), name
    menu = page[page.index('id="menu"') : page.index("<main")]
    for words in ("Fleet", "Deployments", "Builds", "Hosts", "History", "Settings", "My account", "Sign out"):
        assert re.search(rf">\s*{words}\s*<", menu), words


def test_menu_returns_to_its_page_also_after_a_refused_form(admin):
    assert 'name="next" value="/hosts/?q=a&amp;after=b"' in markup(admin.get("/hosts/?q=a&after=b"))
    refused = admin.post("/new-service/", {"name": "not a name"})
    assert refused.status_code == 422 and markup(refused).count('name="next" value="/new-service/"') == 2
