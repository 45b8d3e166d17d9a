"""Lists and pages of a large system: time, statements, and bytes as they come compressed over the line."""

import re
from collections.abc import Iterator
from statistics import median

from . import fill
from .browser import Browser
from .figure import Figure
from .lab import Lab
from .measure import cpu_of

TURNS = 5
SLOWEST_MS, LARGEST_KB = 300, 40
PAGES = {
    "fleet": "/",
    "fleet, failed only": "/?state=failed",
    "5,000 versions": "/services/big-versions/versions/",
    "overview, 1,000 instances": "/services/big-1000/",
    "overview, 10,000 instances": "/services/big-10000/",
    "10,000 instances": "/services/big-10000/instances/",
    "10,000 hosts": "/hosts/",
    "deployments": "/deployments/",
    "pipelines, 1,000 services": "/pipelines/",
    "history": "/history/",
}
MATRIX = {
    "fleet, 5 environments": "/",
    "fleet, one of 5 environments": "/?environment=production",
    "fleet, 5 environments, failed only": "/?state=failed",
}
LISTS = {
    "API: services": "services/?limit=500",
    "API: 5,000 versions": "services/big-versions/versions/?limit=500",
    "API: 10,000 instances": "services/big-10000/instances/?limit=500",
    "API: hosts": "hosts/?limit=500",
    "API: deployments": "deployments/?limit=500",
}


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.large_system("sqlite")
    api, console = Browser(product.url, product.token), Browser(product.url)
    console.sign_in(product.password)
    versions = api.get("/api/v1/services/big-versions/versions/?limit=500").json()["data"]
    middle = versions[len(versions) // 2]["id"]
    (running,) = {row["version_id"] for row in api.get("/api/v1/services/big-1000/instances/").json()["data"]}
    number = api.get("/api/v1/deployments/?service=big-1000").json()["data"][0]["id"]
    failed = api.get(f"/api/v1/deployments/?service={fill.FAILED}").json()["data"][0]
    new, old = (row["id"] for row in api.get("/api/v1/services/big-10000/versions/").json()["data"])
    single = api.get("/api/v1/services/big-1/versions/").json()["data"][0]["id"]
    everywhere = f"where=labels&labels=zone%3D{fill.ZONE}"
    pages = PAGES | {
        "failed deployment of 10,000 hosts": f"/deployments/{failed['id']}/",
        "revert of 9,000 hosts": f"/deployments/{failed['id']}/revert/",
        "deploy dialog, 10,000 hosts": f"/services/big-10000/versions/{new}/deploy/",
        "deploy dialog, 10,000 hosts with a label": f"/services/big-10000/versions/{new}/deploy/?{everywhere}",
        "upgrade dialog, 10,000 hosts": f"/services/big-10000/versions/{old}/upgrade/",
        "install dialog, 10,000 hosts": f"/services/big-1/versions/{single}/install/?{everywhere}",
        f"deployment of {fill.OF_DEPLOYMENT:,} hosts": f"/deployments/{number}/",
        "upgrade dialog, 1,000 hosts": f"/services/big-1000/versions/{running}/upgrade/",
        "upgrade dialog, 5,000 versions": f"/services/big-versions/versions/{middle}/upgrade/",
    }
    lists = LISTS | {
        "API: operations": f"deployments/{number}/operations/?limit=500",
        "API: 5,000 choices": f"services/big-versions/versions/{middle}/upgrade",
    }
    yield Figure("fleet: compressed, styles and scripts included", _first_view(console) / 1000, "kB", LARGEST_KB)
    for name, path in pages.items():
        yield from _cost(console, product.pids("web"), name, path, LARGEST_KB)
    for name, path in lists.items():
        yield from _cost(api, product.pids("web"), name, f"/api/v1/{path}", None)
    product = lab.many_environments()
    console = Browser(product.url)
    console.sign_in(product.password)
    name = "fleet, 5 environments: compressed, styles and scripts included"
    yield Figure(name, _first_view(console) / 1000, "kB", LARGEST_KB)
    for name, path in MATRIX.items():
        yield from _cost(console, product.pids("web"), name, path, LARGEST_KB)


def _first_view(console: Browser) -> int:
    """Return the bytes of the first page with all that it loads before it is shown."""
    page = console.get("/")
    loads = re.findall(rb'<(?:link rel="stylesheet"|script)[^>]* (?:href|src)="([^"]+)"', page.body)
    return page.size + sum(console.get(path.decode()).size for path in dict.fromkeys(loads))


def _cost(browser: Browser, web: list[int], name: str, path: str, largest: int | None) -> Iterator[Figure]:
    try:
        browser.get(path)  # templates are compiled at their first use
        before = cpu_of(web)
        answers = [browser.get(path) for _ in range(TURNS)]
    except RuntimeError as error:
        yield Figure(name, None, reason=str(error))
        return
    yield Figure(name, median(answer.seconds for answer in answers) * 1000, "ms", SLOWEST_MS)
    yield Figure(f"{name}: CPU", (cpu_of(web) - before) * 1000 / TURNS, "ms")
    yield Figure(f"{name}: statements", answers[0].statements)
    yield Figure(f"{name}: compressed", answers[0].size / 1000, "kB", largest)
