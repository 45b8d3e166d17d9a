"""What waits, in the console: its list and its number, its own page, and the page where people answer it."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.microservice.deployments.test_waiting import Site

from ..markup import markup


@pytest.fixture
def site(db, store) -> Site:
    return Site()


def of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_list_names_what_waits(site):
    waits = site.ask(note="weekly")
    ann = of(site.people[0])
    for address in (f"/deployments/{waits.pk}/", "/deployments/", "/deployments/?status=waiting", "/services/shop/"):
        page = markup(ann.get(address))
        assert "tone-warn" in page and "waiting" in page, address
    assert "host1" in markup(ann.get("/services/shop/instances/")) and "locked by" not in markup(
        ann.get("/services/shop/instances/")
    )
