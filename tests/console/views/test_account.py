"""Tokens and the history."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Token
from access.tokens import make_token
from audit.models import History

from ..markup import markup

pytestmark = pytest.mark.django_db


def test_creates_and_revokes_token(admin):
    page = admin.post("/tokens/", {"name": "ci", "scopes": ["read", "publish"], "days": "30"}).content.decode()
    secret = re.search(r"Bearer (dpl_[\w-]+)", page)[1]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/services/", headers=bearer).status_code == 200
    listed = admin.get("/tokens/").content.decode()
    assert secret not in listed and "ci" in listed
    admin.post(f"/tokens/{Token.objects.get().pk}/revoke/")
    assert Client().get("/api/v1/services/", headers=bearer).status_code == 401


def test_rejects_scope_of_others(operator):
    answer = operator.post("/tokens/", {"name": "ci", "scopes": ["admin"]})
    assert answer.status_code == 422 and not Token.objects.exists()
    assert "do not have" in answer.content.decode()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "x"},
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": ["fly"]},
        {"name": "x", "scopes": ["read"], "days": "0"},
    ],
)
def test_rejects_invalid_token(admin, form):
    assert admin.post("/tokens/", form).status_code == 422
    assert not Token.objects.exists()


def test_lists_tokens_by_pages(admin):
    root = User.objects.get()
    for number in range(60):
        make_token(root, f"token-{number}", ["read"])
    page = markup(admin.get("/tokens/"))
    assert "60 entries" in page and "token-59" in page and "token-10" in page and "token-9" not in page
    more = re.search(r'hx-get="([^"]*)"', page)[1]
    rest = admin.get(f"/tokens/{more}", headers={"HX-Request": "true"})
    assert "token-9" in markup(rest) and "token-0" in markup(rest) and "<table" not in markup(rest)


def test_lists_own_tokens_only(admin, operator):
    admin.post("/tokens/", {"name": "hers", "scopes": ["read"]})
    assert "hers" not in operator.get("/tokens/").content.decode()
    assert operator.post(f"/tokens/{Token.objects.get().pk}/revoke/").status_code == 404
    assert Token.objects.get().revoked is None


def test_history_records_tokens(admin, cost):
    assert "No history yet" in admin.get("/history/").content.decode()
    admin.post("/new-service/", {"name": "shop", "language": "go"})
    page = admin.get("/history/").content.decode()
    assert "ada" in page and "create" in page and "shop" in page
    assert "No matching entries" in admin.get("/history/?actor=nobody").content.decode()
    rows = [History(actor="ada", action="change", subject="service", after={"a": n}) for n in range(200)]
    History.objects.bulk_create(rows[:100])
    small = cost(admin, "/history/")
    History.objects.bulk_create(rows[100:])
    assert cost(admin, "/history/") == small
