"""What a person may not open is not offered: the tabs of the settings, for each kind of person."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.console.markup import markup

TAB = re.compile(r'<a href="([^"]+)"')


def tabs(client, address: str = "/tokens/") -> list[str]:
    return TAB.findall(markup(client.get(address)).partition('<nav class="tabs"')[2].partition("</nav>")[0])


@pytest.mark.parametrize("who", ["admin", "operator", "viewer"])
def test_every_tab_opens(request, who):
    client = request.getfixturevalue(who)
    offered = tabs(client)
    assert "/tokens/" in offered and "/account/" in offered
    assert {address: client.get(address).status_code for address in offered} == dict.fromkeys(offered, 200)
    assert ("/people/" in offered) is (who == "admin")


@pytest.fixture
def stranger(viewer, settings) -> Client:
    """Return a client whose user has no role: there are teams, and it is in none."""
    settings.DEFAULT_ROLE = ""
    client = Client()
    client.force_login(get_user_model().objects.create_user("new"))
    return client


def test_account_without_role_gets_to_its_account(stranger):
    assert tabs(stranger) == ["/teams/", "/tokens/", "/account/"]
    answer = stranger.get("/")
    assert answer.status_code == 403 and '<p><a href="/account/">My account</a></p>' in markup(answer)
    assert '<p><a href="/">Back to the fleet</a></p>' in markup(stranger.get("/hosts/"))


def test_form_for_hosts_is_for_administrators(operator, admin):
    assert operator.get("/hosts/new/").status_code == 403
    assert admin.get("/hosts/new/").status_code == 200
