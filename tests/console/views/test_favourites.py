"""Favourite services: a star for each person, first on the first page, also in its live part."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.models import Team
from console.models import Favourite
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db
LIVE = {"HX-Request": "true"}


def listed(page: str) -> list[str]:
    """Return the names of the services in the order of their rows."""
    return re.findall(r'<a href="/services/([\w-]+)/" title', page)


def starred(page: str) -> set[str]:
    return set(re.findall(r'formaction="/services/([\w-]+)/favourite/" name="on" value="0" aria-pressed="true"', page))


def test_favourites_come_first_for_their_person_only(admin, operator):
    for name in ("a", "b", "c", "d"):
        factories.service(name)
    assert admin.post("/services/d/favourite/", {"on": "1", "next": "/?q="}).headers["Location"] == "/?q="
    admin.post("/services/b/favourite/", {"on": "1"})
    page = markup(admin.get("/"))
    assert listed(page) == ["b", "d", "a", "c"] and starred(page) == {"b", "d"}
    assert starred(markup(admin.get("/services/d/"))) == {"d"} and not starred(markup(admin.get("/services/a/")))
    other = markup(operator.get("/"))
    assert listed(other) == ["a", "b", "c", "d"] and not starred(other)
    admin.post("/services/d/favourite/", {"on": "0"})
    assert listed(markup(admin.get("/"))) == ["b", "a", "c", "d"]


def test_star_is_given_once(admin):
    shop = factories.service("shop")
    for _ in range(2):
        admin.post("/services/shop/favourite/", {"on": "1"})
    assert Favourite.objects.get().service == shop
    for _ in range(2):
        assert admin.post("/services/shop/favourite/", {"on": "0"}).status_code == 302
    assert not Favourite.objects.exists()


def test_live_part_shows_the_same(admin):
    """It is rendered for no one; the page's script says what the page showed."""
    ids = [factories.service(name).pk for name in ("a", "b", "c")]
    admin.post("/services/c/favourite/", {"on": "1"})
    named = re.search(r'data-favourites="([\d,]*)"', markup(admin.get("/")))[1]
    assert named == str(ids[2])
    part = markup(admin.get(f"/?rows=2&seen=0&favourites={named}", headers=LIVE))
    assert listed(part) == ["c", "a", "b"] and starred(part) == {"c"} and "favourites=" not in part
    assert starred(markup(admin.get(f"/services/c/?favourites={named}", headers=LIVE))) == {"c"}
    assert listed(markup(admin.get("/", headers=LIVE))) == ["a", "b", "c"], "another reader's part is another one"
    for hostile in ("x", "1,,2", "9" * 30, "-1", "1" + ",1" * 500):
        assert admin.get("/", {"favourites": hostile}, headers=LIVE).status_code == 200


def test_next_rows_leave_favourites_out(admin):
    for number in range(60):
        factories.service(f"service-{number:03}")
    admin.post("/services/service-055/favourite/", {"on": "1"})
    page = markup(admin.get("/"))
    assert listed(page)[0] == "service-055" and len(listed(page)) == 51
    more = listed(markup(admin.get("/?after=service-049", headers=LIVE)))
    assert more == [f"service-{number:03}" for number in (*range(50, 55), *range(56, 60))]
    refreshed = markup(admin.get(f"/?rows=50&favourites={Favourite.objects.get().service_id}", headers=LIVE))
    assert listed(refreshed) == listed(page), "a refresh neither grows nor shrinks the list"


def test_filters_apply_to_favourites(admin):
    factories.service("shop")
    factories.service("other")
    admin.post("/services/shop/favourite/", {"on": "1"})
    assert listed(markup(admin.get("/?q=oth"))) == ["other"]
    assert listed(markup(admin.get("/?q=sho"))) == ["shop"]


def test_star_shows_nothing_that_is_not_visible(viewer):
    secret = factories.service("secret", team=Team.objects.create(name="red"))
    assert viewer.post("/services/secret/favourite/", {"on": "1"}).status_code == 404
    Favourite.objects.create(user=get_user_model().objects.get(username="vera"), service=secret)
    assert "secret" not in markup(viewer.get("/"))
    assert "secret" not in markup(viewer.get(f"/?favourites={secret.pk}", headers=LIVE))


def test_favourites_go_with_service_and_person(admin):
    shop = factories.service("shop")
    user = get_user_model().objects.create_user("eve")
    Favourite.objects.create(user=user, service=shop)
    user.delete()
    assert not Favourite.objects.exists()
    admin.post("/services/shop/favourite/", {"on": "1"})
    assert admin.post("/services/shop/delete/", {"name": "shop"}).status_code == 302
    assert not Favourite.objects.exists()


def test_star_needs_sign_in():
    factories.service("shop")
    assert Client().post("/services/shop/favourite/", {"on": "1"})["Location"].startswith("/login/")


def test_favourites_cost_a_fixed_number_of_queries(admin, cost):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            (version,) = factories.versions(factories.service(f"service-{number:03}"), 1)
            factories.instances(version, factories.hosts(1, f"s{number}-"))
            admin.post(f"/services/service-{number:03}/favourite/", {"on": "1"})

    grow(0, 3)
    small = cost(admin, "/")
    grow(3, 20)
    assert cost(admin, "/") == small
