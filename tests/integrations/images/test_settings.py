"""The registry's own fields: what they may be, and when the password must be given again."""

import pytest

from access.problems import Problem
from access.secrets import Secret
from integrations import registry
from integrations.images import settings
from integrations.models import Setting
from integrations.validation import complete_document


def wrong(**fields) -> list[str]:
    return [error.pointer for error in settings.errors({**registry.PARTS["registry"], **fields})]


@pytest.mark.parametrize(
    "fields",
    [
        {"hosts": ["r.example.com", "10.0.0.1:5000", "[::1]:5000"]},
        {"project": "team"},
        {"project": "group/sub-group/x_y"},
        {"user": "robot$ci"},
        {"user": "robot$library+ci"},
        {"web_url": "https://hub.example.com/{host}/{name}?d={digest}#top"},
        {"web_url": "http://{host}/harbor/{name}"},
    ],
)
def test_accepts(fields):
    assert wrong(**fields) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"hosts": ["https://r.example.com"]},
        {"hosts": ["r.example.com/x"]},
        {"hosts": [""]},
        {"hosts": ["user@r.example.com"]},
        {"hosts": ["r.example.com"] * 51},
        {"project": "Team"},
        {"project": "/team"},
        {"project": "team/../other"},
        {"user": "a:b"},
        {"user": "a\nb"},
        {"web_url": "javascript:alert(1)//{host}"},
        {"web_url": "https://user:word@{host}/"},
        {"web_url": "https://hub.example.com/{tag}"},
        {"web_url": 'https://hub.example.com/"onclick'},
        {"web_url": "{host}"},
    ],
)
def test_refuses(fields):
    assert wrong(**fields) == [f"/registry/{next(iter(fields))}"]


@pytest.mark.django_db
def test_a_new_name_needs_the_password_again():
    saved = '{"registry": {"url": "https://r.example.com", "user": "ci", "password": "passw0rd"}}'
    Setting.objects.create(document=Secret(saved))
    same = {"url": "https://r.example.com", "hosts": ["R.example.com:443"], "user": "ci"}
    assert complete_document({"registry": same})["registry"]["password"] == "passw0rd"
    with pytest.raises(Problem) as refused:
        complete_document({"registry": {**same, "hosts": ["evil.example"]}})
    assert [error.pointer for error in refused.value.field_errors] == ["/registry/password"]
    given = complete_document({"registry": {**same, "hosts": ["mirror.example"], "password": "again"}})
    assert given["registry"]["password"] == "again"
