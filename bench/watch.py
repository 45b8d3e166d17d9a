"""What watched pages cost: each change, shown in one tab, and in 200 tabs of as many people."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from .browser import Browser
from .figure import Figure
from .lab import WATCHERS, Lab
from .measure import cpu_of
from .product import ROOT, Product
from .tabs import Tab

CHANGES, EVERY = 10, 1.0  # changes, and seconds between two of them
LATEST_MS, CPU_MS = 1000, 1000
SERVICE = "big-50"
MAKE = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
found = []
for number in range(%d):
    client = Client()
    client.force_login(get_user_model().objects.create_user(f"watcher-{number}"))
    found.append(client.cookies["sessionid"].value)
print(json.dumps(found))
"""


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.large_system("sqlite")
    sessions = _sessions(product)
    for name, page in {"fleet": "/", f"instances of {SERVICE}": f"/services/{SERVICE}/instances/"}.items():
        for count in (1, WATCHERS):
            yield from _cost(product, f"{name}, {count} tab{'s' if count > 1 else ''}", page, sessions[:count])


def _sessions(product: Product) -> list[str]:
    """Create a session for each of WATCHERS people."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", MAKE % WATCHERS]
    environment = product.environment(product.var)
    return json.loads(subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def _cost(product: Product, name: str, page: str, sessions: list[str]) -> Iterator[Figure]:
    tabs = [Tab(product.url, session, page) for session in sessions]
    try:
        for tab in tabs:
            tab.open()
        for tab in tabs:
            tab.wait_until_open()
        api, web = Browser(product.url, product.token), product.pids("web")
        _change(api, "warm", tabs)
        cpu, statements, late = cpu_of(web), _statements(product), []
        for number in range(CHANGES):
            late.append(_change(api, f"{name}: {number}", tabs))
        cpu, statements = cpu_of(web) - cpu, _statements(product) - statements
    finally:
        for tab in tabs:
            tab.close()
    many = len(tabs) > 1
    yield Figure(f"{name}: statements a change", statements / CHANGES)
    yield Figure(f"{name}: CPU a change", cpu * 1000 / CHANGES, "ms", CPU_MS if many else None)
    yield Figure(f"{name}: on the last screen after", max(late) * 1000, "ms", LATEST_MS if many else None)


def _change(api: Browser, words: str, tabs: list[Tab]) -> float:
    """Change what the page shows; return the seconds from the response until every tab has shown it."""
    for tab in tabs:
        tab.texts.clear()
    api.ask("PATCH", f"/api/v1/services/{SERVICE}", json.dumps({"description": words}), "application/json")
    began = time.monotonic()
    while time.monotonic() < began + EVERY or not all(any(words in text for _, text in tab.texts) for tab in tabs):
        if time.monotonic() > began + 30:
            raise TimeoutError(f"{words} was not shown in every tab: { ({tab.over or tab.trouble for tab in tabs}) }")
        time.sleep(0.02)
    return max(next(when for when, text in tab.texts if words in text) for tab in tabs) - began


def _statements(product: Product) -> int:
    """Return how many statements the web process has sent so far, in all its threads."""
    return int(Browser(product.url).ask("GET", "/healthz").headers["X-Statements-So-Far"])
