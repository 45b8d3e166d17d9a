"""An error in a form stands beside its field, and no typed value is lost but secrets."""

import html
import re

import pytest
from django.contrib.auth import get_user_model

from microservice.models import MicroService
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db

HOST = {"hostname": "web1", "ip": "192.0.2.1", "port": "22", "username": "deploy", "base_path": "/srv/services"}
SERVICE = {"language": "other", "check_timeout": "20", "keep_releases": "3", "build_orig": "git"}
PERSON = {"username": "bob", "email": "bob@example.org", "active": "on"}
CALLBACK = {"url": "https://example.org/", "events": ["deployment.ended"]}
TOKEN = {"name": "ci", "scopes": ["read"]}
CASES = [
    ("/new-service/", {"name": "shop", "language": "other"}, {"name": "a b"}),
    ("/new-service/", {"name": "shop", "language": "other"}, {"name": "1234"}),
    ("/new-service/", {"name": "shop", "language": "other"}, {"description": "d" * 257}),
    ("/services/shop/versions/new/", {"version": "1.0", "ref": "master"}, {"version": "a/b"}),
    ("/services/shop/versions/new/", {"version": "1.0", "ref": "master"}, {"version": "v" * 129}),
    ("/services/shop/settings/", SERVICE, {"check_timeout": "soon"}),
    ("/services/shop/settings/", SERVICE, {"keep_releases": "0"}),
    ("/services/shop/settings/", SERVICE, {"environment": "no sign of equality"}),
    ("/services/shop/settings/", SERVICE, {"environment": "1A=b"}),
    ("/services/shop/settings/", SERVICE, {"steps": "{"}),
    ("/services/shop/settings/", SERVICE, {"steps": '[{"name": "x"}]'}),
    ("/services/shop/settings/", SERVICE, {"limits": "[1]"}),
    ("/services/shop/settings/", SERVICE, {"limits": '{"speed": 1}'}),
    ("/services/shop/settings/", SERVICE, {"auto_deploy_tag": "t" * 65}),
    ("/hosts/new/", HOST, {"hostname": "no good;"}),
    ("/hosts/new/", HOST, {"ip": "999.1.1.1"}),
    ("/hosts/new/", HOST, {"port": "99999"}),
    ("/hosts/new/", HOST, {"username": "-oProxyCommand=x"}),
    ("/hosts/new/", HOST, {"base_path": "relative"}),
    ("/hosts/new/", HOST, {"host_key": "nonsense"}),
    ("/callbacks/new/", CALLBACK, {"url": "ftp://example.org/"}),
    ("/callbacks/new/", CALLBACK, {"headers": "no colon"}),
    ("/credentials/", {"name": "k", "kind": "password", "secret": "s"}, {"name": "n" * 200}),
    ("/tokens/", TOKEN, {"days": "-4"}),
    ("/tokens/", TOKEN, {"services": "nosuch"}),
    ("/people/", PERSON | {"password": "long-enough-1"}, {"username": "bad name!"}),
    ("/people/ID/", PERSON, {"email": "nomail"}),
]


@pytest.mark.parametrize(("address", "good", "bad"), CASES, ids=[f"{a} {next(iter(bad))}" for a, _, bad in CASES])
def test_errors_stand_at_fields(admin, address, good, bad):
    MicroService.objects.create(name="shop")
    eve = get_user_model().objects.create_user("eve")
    answer = admin.post(address.replace("ID", str(eve.pk)), good | bad)
    page = answer.content.decode()
    assert answer.status_code in (200, 422), answer.status_code
    (name,) = bad
    beside = re.search(rf'id="id_{name}-wrong">([^<]+)<', page)
    assert beside and len(beside[1]) > 8, f"nothing is said beside {name}"
    assert 'role="alert"' in page and 'aria-describedby="' in page and 'aria-invalid="true"' in page
    for one in {**good, **bad}.values():
        if isinstance(one, str) and one not in ("s", "long-enough-1", "on"):
            assert html.escape(one) in page, f"{one} is lost"
    assert 'value="s"' not in page and "long-enough-1" not in page


@pytest.mark.parametrize(
    ("address", "good", "bad", "status"),
    [
        ("/deployments/", {"service": "shop"}, {"status": "no<such"}, 200),
        ("/deployments/", {"service": "shop"}, {"action": "no<such"}, 200),
        ("/hosts/", {"q": "shop"}, {"state": "no<such"}, 200),
        ("/services/shop/versions/", {"q": "shop"}, {"status": "no<such"}, 200),
        ("/services/shop/instances/", {"q": "shop"}, {"state": "no<such"}, 200),
        ("/history/", {"service": "shop"}, {"action": "no<such"}, 422),
        ("/history/", {"service": "shop"}, {"since": "no<such"}, 422),
        ("/history/moves/", {"service": "shop"}, {"until": "no<such"}, 422),
    ],
)
def test_filters_name_wrong_values(admin, address, good, bad, status):
    factories.running(1, "shop")
    (name,), (kept,) = bad, good
    assert f"{name}-wrong" not in markup(admin.get(address, good))
    answer = admin.get(address, good | bad)
    page = markup(answer)
    assert answer.status_code == status
    beside = re.search(rf'id="{name}-wrong">([^<]+)<', page)
    assert beside and len(beside[1]) > 8, f"nothing is said beside {name}"
    assert re.search(rf'name="{kept}" value="shop"', page), "the other filter is kept"
    assert "no&lt;such" in page and "no<such" not in page and 'aria-invalid="true"' in page


def test_log_search_names_wrong_values(admin):
    where = f"/operations/{factories.running(1, 'shop').operations.get().pk}/log/"
    page = markup(admin.get(where, {"q": "a\x01b"}))
    assert 'id="q-wrong">must be part of one line' in page and 'id="hits"' not in page
    assert 'id="hits"' in markup(admin.get(where, {"q": "a"}))
