"""The recipe's page in Chromium: the engine pulls a base image, and what is in it fills in the form."""

import pytest
from playwright.sync_api import expect

from demo.client import Refused
from tests.lab import base_image
from tests.lab.image_registry import ImageRegistry

pytestmark = [pytest.mark.browser, pytest.mark.demo]


@pytest.fixture
def base(docker_engine, client, tmp_path):
    """Yield an image that says it has Python, in a registry that the demo's settings name with the engine."""
    python = b"#!/bin/sh\necho Python 3.11.9\n"
    files = {"bin/sh": base_image.busybox().read_bytes(), "bin/python3": python}
    with ImageRegistry(tmp_path / "registry") as registry:
        digest = registry.push("base/python", "3", files)
        before = client.get("settings/")["id"]
        parts = {"docker": {"url": docker_engine.socket_url}, "registry": {"url": registry.url, "password": ""}}
        client.send("PUT", "settings/", parts)
        yield f"{registry.host}/base/python:3"
        try:
            client.post(f"settings/history/{before}/restore", {})
        except Refused:  # nothing was saved before, or what is named there has ended with another test
            client.send("PUT", "settings/", {})
        docker_engine.ask("DELETE", f"/images/{registry.host}/base/python@{digest}")


def test_pulls_and_fills_in(visit, base):
    page = visit("/services/checkout/recipe/")
    page.get_by_label("Base image").fill(base)
    page.get_by_label("Commands").fill("echo kept")
    page.get_by_role("button", name="Look into the base image").click()
    page.get_by_role("button", name="Pull the image now").click()
    expect(page.get_by_label("Python version")).to_have_value("3.11.9")
    expect(page.get_by_label("Commands")).to_have_value("echo kept")
    expect(page.get_by_role("region", name="The base image")).to_contain_text("python 3.11.9")


def test_says_why_it_could_not(visit, base, docker_engine):
    page = visit("/services/checkout/recipe/")
    page.get_by_label("Base image").fill(base)
    page.get_by_role("button", name="Look into the base image").click()
    pull = page.get_by_role("button", name="Pull the image now")
    page.route("**/api/v1/images/pull", lambda route: route.abort())
    pull.click()
    expect(page.locator("[data-pull]")).to_contain_text("The connection was lost")
    expect(pull).to_be_enabled()
