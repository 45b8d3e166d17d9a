"""docs/images.md: each recipe is run by a shell as it stands there, against the real processes."""

import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from access.callers import SYSTEM
from access.tokens import make_token
from microservice import catalog
from microservice.catalog.container_commands import commands
from microservice.catalog.containers import Container
from tests import factories
from tests.docs.recipe_shell import run_recipe
from tests.lab.web import Web

ROOT = Path(__file__).resolve().parents[2]
# The headings of docs/images.md that have recipes. Each has a test, here or in test_recipes.py.
TESTED = {"Commands for containers", "An image that a pipeline pushed"}
pytestmark = pytest.mark.django_db(transaction=True)


def sections() -> dict[str, list[str]]:
    """Return the shell code below each heading that has any."""
    parts = re.split(r"^## ", (ROOT / "docs" / "images.md").read_text(), flags=re.MULTILINE)[1:]
    found = {
        part.partition("\n")[0]: re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE) for part in parts
    }
    return {title: blocks for title, blocks in found.items() if blocks}


def test_every_recipe_is_run():
    assert set(sections()) == TESTED


@pytest.fixture
def shell(environment, tmp_path):
    """Run shell code as an administrator would, with the address and a token in the environment."""
    boss = get_user_model().objects.create_superuser("boss")
    token = make_token(boss, "boss", ["read", "publish", "deploy", "admin"])[1]
    with Web(environment, tmp_path / "web.log") as web:

        def run(script: str, **more: str) -> str:
            return run_recipe(script, tmp_path, web.url, token, **more)

        yield run


def test_commands_for_containers(shell):
    shop = factories.service("shop")
    catalog.change_service(SYSTEM, shop, {"secrets": {"DB_PASSWORD": "very secret"}})
    (recipe,) = sections()["Commands for containers"]
    answer = shell(recipe)
    shop.refresh_from_db()
    wanted = Container(
        publish=("$PORT:8080",), variables=("DB_PASSWORD",), check="url", check_value="http://127.0.0.1:$PORT/"
    )
    made = commands(wanted)
    assert {name: getattr(shop, name) for name in made} == made and "very secret" not in answer
