"""The pages of the demo's images, as a company would see them: with its names of a registry and an engine."""

import time

from playwright.sync_api import Page

from demo.client import Client
from demo.fill import ended
from demo.images import NAME, VERSIONS

SERVICE = f"/services/{NAME}/"
REGISTRY, ENGINE = "registry.example.com", "tcp://engine.example.com:2376"
SCROLLED = {"image-settings": "#registry", "recipe": "#dockerfile"}
_RENAME = """(names) => {
  const renamed = (text) => names.reduce((said, [from, to]) => said.replaceAll(from, to), text);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) walk.currentNode.data = renamed(walk.currentNode.data);
  for (const field of document.querySelectorAll("input, textarea")) field.value = renamed(field.value);
}"""


def prepare(client: Client) -> dict[str, str]:
    """Upgrade the containers; return the pages by the name of their picture. Nothing where there is no engine."""
    deadline = time.monotonic() + 120
    while not client.find(f"services/{NAME}") or not client.get(f"services/{NAME}/instances/")["count"]:
        if time.monotonic() > deadline:
            return {}
        time.sleep(1)
    ended(client, max(row["id"] for row in client.all("deployments/")))
    path = f"services/{NAME}/versions/"
    ids = {row["version"]: row["id"] for row in client.all(path)}
    installed, newest = (ids[version] for version in VERSIONS)
    asked = client.post(f"{path}{installed}/upgrade", {"dest_version": newest, "host": "all"})
    ended(client, asked["id"])
    done = client.get(f"deployments/{asked['id']}/operations/")["data"][0]
    client.patch(f"services/{NAME}", {"recipe": _recipe(client)})
    return {
        "image-settings": "/settings/",
        "recipe": f"{SERVICE}recipe/",
        "build": f"{SERVICE}versions/{newest}/",
        "image-versions": f"{SERVICE}versions/",
        "pull": f"/operations/{done['id']}/",
    }


def _recipe(client: Client) -> dict:
    now = client.get(f"services/{NAME}")["recipe"]
    return {
        **now,
        "apt": {"packages": ["ca-certificates", "python3", "python3-pip"]},
        "pip": {"packages": ["flask==3.0", "gunicorn==22.0"], "index": "https://pypi.example.com/simple"},
        "expose": [8080],
        "user": "app",
        "workdir": "/app",
    }


def arrange(page: Page, name: str, engine: dict[str, str]) -> None:
    """Name registry and engine as a company would, and bring the part that is shown into view."""
    if name == "image-settings":
        page.get_by_role("button", name="Test", exact=True).click()
        page.wait_for_selector("#findings *", timeout=30_000)
        page.wait_for_timeout(500)
    page.evaluate(
        _RENAME,
        [
            ["http://" + engine["registry"], "https://" + REGISTRY],
            [engine["registry"], REGISTRY],
            [engine["url"], ENGINE],
        ],
    )
    if name in SCROLLED:
        page.evaluate("(where) => document.querySelector(where)?.scrollIntoView()", SCROLLED[name])


def engine(client: Client) -> dict[str, str]:
    """Return what the demo's registry and engine are called in the settings."""
    settings = client.get("settings/")["settings"]
    registry = (settings.get("registry") or {}).get("url", "http://-").partition("://")[2]
    return {"registry": registry, "url": (settings.get("docker") or {}).get("url", "unix://-")}
