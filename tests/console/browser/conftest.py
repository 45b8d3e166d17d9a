"""One demo and one browser for all files of this folder, gone when its last test is.

Playwright keeps an event loop running in the main thread, which Django and asyncio refuse to work beside: so no test of
another folder may run while it is there. `tests/conftest.py` gives the whole folder to one process.
"""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.client import Client
from tests.console.browser.demo import DESKTOP, Demo
from tests.console.browser.greeter import soon


@pytest.fixture(scope="package")
def demo():
    folder = Path(tempfile.mkdtemp(prefix="dp-", dir="/tmp"))
    try:
        with Demo(folder) as running:
            yield running.record
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(demo, browser: Browser):
    """Yield `visit("/")`, which opens a page as a signed-in user. An error in the browser fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(address: str, labels: tuple[str, str, str] = ("Username", "Password", "Sign in"), **how) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "base_url": demo["url"], **how})
        contexts.append(context)
        expect.set_options(timeout=soon())
        context.set_default_timeout(soon())
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        page.goto(f"/login/?next={quote(address)}")
        page.get_by_label(labels[0]).fill(demo["username"])
        page.get_by_label(labels[1]).fill(demo["password"])
        page.get_by_role("button", name=labels[2]).click()
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def client(demo):
    """Yield a client of the demo's API. After the test, the hosts and callbacks that it added are deleted."""
    client = Client(demo["url"], demo["token"])
    before = {of: {row["id"] for row in client.all(of)} for of in ("hosts/", "callbacks/")}
    yield client
    for of, known in before.items():
        for row in client.all(of):
            if row["id"] not in known:
                client.send("DELETE", f"{of}{row['id']}")
