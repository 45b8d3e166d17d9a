"""Every text of the console is translated into Simplified Chinese; the API and what rows keep stay English."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po
from django.apps import apps
from django.db.models import Choices
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext

from access.callers import SCOPES
from access.roles import Role
from asset.models import Credential
from console.queries import deployments, history, hosts, services
from messages.terms import TERMS
from microservice import status
from microservice.models import Deployment, MicroService

from .bare_texts import bare_texts

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUES = Path("locale/zh_Hans/LC_MESSAGES")
DOMAINS = ("django", "djangojs")
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+(?::\w+)?\}|</?\w+")
API_ONLY = "api_errors.html"  # the API speaks English


def catalogue(domain: str) -> Catalog:
    with (ROOT / CATALOGUES / f"{domain}.po").open("rb") as file:
        return read_po(file, locale="zh_Hans", domain=domain)


def translations(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_text_is_translated(domain: str) -> None:
    missing = [
        message.id
        for message in catalogue(domain)
        if message.id and (message.fuzzy or not all(translations(message.string)))
    ]
    assert not missing, "run `make messages`, and translate what it lists"


@pytest.mark.parametrize("domain", DOMAINS)
def test_translations_keep_placeholders(domain: str) -> None:
    for message in catalogue(domain):
        if message.id:
            text = translations(message.id)[-1]
            translated = translations(message.string)[0]
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(translated)), text


@pytest.fixture(scope="module")
def fresh_catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the catalogues as `make messages` writes them, from a copy of this checkout."""
    copy = tmp_path_factory.mktemp("messages") / "copy"
    unneeded = shutil.ignore_patterns(".*", "tests", "docs", "bench", "demo", "var", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=unneeded)
    command = [str(ROOT / "scripts/messages"), str(copy)]
    subprocess.run(command, env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}, check=True, timeout=300)
    return copy / CATALOGUES


@pytest.mark.parametrize("name", [f"{domain}.{kind}" for domain in DOMAINS for kind in ("po", "mo")])
def test_catalogues_are_up_to_date(fresh_catalogues: Path, name: str) -> None:
    assert (ROOT / CATALOGUES / name).read_bytes() == (fresh_catalogues / name).read_bytes(), "run `make messages`"


def test_every_word_of_the_api_is_a_term() -> None:
    """Labels of the enums, scopes, filters; actions, subjects and fields that the history records."""
    enums = [value for value in vars(status).values() if isinstance(value, type) and issubclass(value, Choices)]
    enums += [Role, Credential.Kind, MicroService.Language, MicroService.Origin]
    words = {str(label) for enum in enums if enum is not status.Outcome for label in enum.labels}
    words |= {*status.Outcome.values, *SCOPES} | recorded_words()
    words |= {*history.ACTIONS, *hosts.STATES, *deployments.STATUS_FILTERS, *services.INSTANCE_STATES}
    assert len(words) > 80
    assert sorted(word for word in words if word.replace(" ", "_") not in TERMS) == []


def recorded_words() -> set[str]:
    """Every literal action, subject and field name in a call of `record` or `record_alike`, and what is not found."""
    words = set()
    packages = {Path(app.path) for app in apps.get_app_configs() if Path(app.path).is_relative_to(ROOT)}
    for path in (path for package in packages for path in package.rglob("*.py") if "migrations" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) == "not_found":
                words |= {one.value for one in node.args if isinstance(one, ast.Constant)}
            if isinstance(node, ast.Call) and _name(node.func) in ("record", "record_alike"):
                values = [keyword.value for keyword in node.keywords if keyword.arg in ("before", "after")]
                values += node.args[4:6]
                keys = [key for value in values if isinstance(value, ast.Dict) for key in value.keys]
                literals = [one.value for one in [*node.args[1:3], *keys] if isinstance(one, ast.Constant)]
                words |= {word for word in literals if isinstance(word, str)}
    return words


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_templates_have_no_bare_text(tmp_path: Path) -> None:
    paths = [path for path in sorted((ROOT / "templates").rglob("*.html")) if path.name != API_ONLY]
    assert not {str(path.relative_to(ROOT)): texts for path in paths if (texts := list(bare_texts(path)))}
    page = tmp_path / "page.html"
    page.write_text('{% if x %}<p title="Seen">{{ y }} hosts</p>{% endif %}<code>make it</code>{% translate "fine" %}')
    assert sorted(bare_texts(page)) == ["Seen", "hosts"]


@pytest.mark.django_db
def test_pages_follow_accept_language(admin, operator):
    page = admin.get("/", headers=CHINESE).content.decode()
    assert '<html lang="zh-hans"' in page and "还没有服务" in page and "No services" not in page
    refused = operator.get("/hosts/new/", headers=CHINESE)
    assert refused.status_code in (200, 403)
    assert "没有这个服务，或者您无权查看。" in admin.get("/services/nothing/", headers=CHINESE).content.decode()
    form = admin.post("/new-service/", {"name": "7"}, headers=CHINESE).content.decode()
    assert "不能全是数字" in form
    assert '<html lang="en"' in admin.get("/", headers={"Accept-Language": "fr"}).content.decode()


@pytest.mark.django_db
def test_chosen_language_is_kept(admin):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/language/", {"language": "zh-hans"}).status_code == 403
    answer = admin.post("/language/", {"language": "zh-hans", "next": "/hosts/?q=a"})
    assert (answer.status_code, answer["Location"]) == (302, "/hosts/?q=a")
    assert admin.post("/language/", {"language": "en", "next": "https://elsewhere.example/"})["Location"] == "/"
    admin.post("/language/", {"language": "zh-hans"})
    assert "还没有主机" in admin.get("/hosts/", headers={"Accept-Language": "en"}).content.decode()


@pytest.mark.django_db
def test_api_is_english(admin):
    admin.cookies["django_language"] = "zh-hans"
    answer = admin.get("/api/v1/services/nothing", headers=CHINESE)
    assert answer.json()["detail"] == "There is no such service, or you may not see it."
    assert "Accept-Language" not in answer.get("Vary", "")
    made = admin.post("/api/v1/services/", {"name": "7"}, "application/json", headers=CHINESE)
    assert made.json()["errors"][0]["reason"].isascii()
    assert not MicroService.objects.exists() and not Deployment.objects.exists()


@pytest.mark.django_db
def test_script_texts_have_versioned_url(admin):
    page = admin.get("/", headers=CHINESE).content.decode()
    address = re.search(r'src="(/words/zh-hans/\w+\.js)"', page)[1]
    answer = admin.get(address)
    assert r"\u521a\u521a" in answer.content.decode()  # 刚刚, as JSON has it
    assert "max-age=31536000" in answer["Cache-Control"]
    assert "max-age=0" in admin.get("/words/zh-hans/old.js")["Cache-Control"]
    assert admin.get("/words/xx/old.js").status_code == 404


def test_percent_sign_in_help_text():
    with translation.override("zh-hans"):
        assert gettext("Number of hosts or a percentage, e.g. 20%.") == "主机数或百分比，例如 20%。"
