"""The page of a recipe: every part has a field, what is wrong stands at its field, and posted unchanged it stays."""

import html

import pytest

from console.forms.recipes import RecipeForm, recipe_of, shown
from microservice.models import MicroService
from tests import factories
from tests.console import as_a_browser
from tests.microservice.catalog.test_recipes import FULL

pytestmark = pytest.mark.django_db
PAGE = "/services/shop/recipe/"
ODD = {
    "base": "debian:12",
    "run": ["echo one\n\necho two", "x"],
    "cmd": ["a b", "", "it's", "$X\ny"],
    "python": {"version": "3.11", "from": "conda"},
    "env": {"A": 'x "y" \\'},
}


@pytest.mark.parametrize("recipe", [FULL, ODD, {"base": "debian:12"}, {}])
def test_a_recipe_is_its_fields(recipe):
    assert recipe_of(shown(recipe)) == recipe


@pytest.mark.parametrize("recipe", [FULL, ODD])
def test_posted_unchanged_it_stays(admin, recipe):
    factories.service("shop", recipe=recipe, build_orig="image", build_url="https://git.example/shop.git")
    page = admin.get(PAGE).content.decode()
    form = next(one for one in as_a_browser.forms(page) if one.has("base"))
    answer = admin.post(PAGE, form.data() | {"do": ["save"]})
    assert answer.status_code == 302, html.unescape(answer.content.decode())
    assert MicroService.objects.get().recipe == recipe


def test_fields_make_a_recipe_and_its_dockerfile(admin):
    factories.service("shop", build_orig="image")
    fields = {
        "base": "debian:12",
        "apt_packages": "curl  nginx",
        "pip_packages": "flask == 3.0\r\nuvicorn",
        "run": "echo one &&\r\necho two\r\n\r\ntrue",
        "expose": "8080 53/udp",
        "cmd": "nginx -g 'daemon off;'",
        "env": "A=b",
        "own_files": '[{"path": "/x", "text": "y"}]',
    }
    page = html.unescape(admin.post(PAGE, fields | {"do": "preview"}).content.decode())
    assert "not saved" in page and 'CMD ["nginx", "-g", "daemon off;"]' in page
    assert MicroService.objects.get().recipe == {}
    assert admin.post(PAGE, fields | {"do": "save"}).status_code == 302
    assert MicroService.objects.get().recipe == {
        "base": "debian:12",
        "apt": {"packages": ["curl", "nginx"]},
        "pip": {"packages": ["flask == 3.0", "uvicorn"]},
        "run": ["echo one &&\necho two", "true"],
        "expose": [8080, "53/udp"],
        "cmd": ["nginx", "-g", "daemon off;"],
        "env": {"A": "b"},
        "files": [{"path": "/x", "text": "y"}],
    }


def test_what_is_wrong_stands_at_its_field(admin):
    factories.service("shop", build_orig="image")
    wrong = {
        "apt_packages": "curl -o",
        "expose": "http",
        "python_from": "apt",
        "own_files": '[{"path": "x", "text": ""}]',
    }
    answer = admin.post(PAGE, wrong | {"do": "save"})
    assert answer.status_code == 422
    form = answer.context["form"]
    assert set(form.errors) == {"base", "apt_packages", "expose", "python_version", "own_files"}
    assert form.errors["own_files"][0].startswith("0/path: ")


def test_only_who_may_build_changes_it(client, operator):
    factories.service("shop", build_orig="image")
    assert operator.get(PAGE).status_code == 200
    assert operator.post(PAGE, {"base": "debian:12", "do": "save"}).status_code == 403


def test_every_field_has_a_group():
    grouped = [name for _, names in RecipeForm.GROUPS for name in names]
    assert sorted(grouped) == sorted(RecipeForm.base_fields)


def test_one_answer_names_everything_that_is_wrong(admin):
    """What cannot be read as a list or a variable hides nothing that is wrong elsewhere."""
    factories.service("shop", build_orig="image")
    wrong = {"base": "Not An Image", "own_files": "[", "env": "no sign", "apt_packages": "Curl", "expose": "70000"}
    page = admin.post(PAGE, {**wrong, "do": "save"})
    assert page.status_code == 422
    assert set(page.context["form"].errors) == set(wrong)
    assert MicroService.objects.get().recipe == {}
