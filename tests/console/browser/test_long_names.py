"""Names as long as they may be, with blanks and without, in two scripts: no page scrolls sideways for them."""

import sys

import pytest

from demo.client import Client
from demo.service import definition
from tests.console.browser.demo import PHONE
from tests.console.browser.pages import show

pytestmark = [pytest.mark.browser, pytest.mark.demo]
HALF = {"width": 960, "height": 1080}
WHOLE, WORDS = "华东数据中心订单处理与库存同步服务主机组" * 3, "one of very many words " * 8
SERVICE = "a-service-whose-name-was-chosen-in-a-hurry-and-has-no-end-at-all"


@pytest.fixture(scope="module")
def pages(demo):
    client = Client(demo["url"], demo["token"])
    made, addresses = [], ["/hosts/", "/hosts/groups/", "/teams/", "/deployments/", "/"]

    def make(of: str, body: dict, page: str = "") -> dict:
        row = client.post(of, body)
        made.append(f"{of}{row['id']}")
        addresses.append(page or f"/{of}{row['id']}/")
        return row

    service = definition.service(sys.executable) | {"name": SERVICE, "description": WHOLE + WORDS[:100]}
    make("services/", service, f"/services/{SERVICE}/")
    make(f"services/{SERVICE}/versions/", {"version": "9" * 48, "ref": "branch-" * 18, "description": WORDS})
    labels = {f"label-{number}": "value-" * 5 for number in range(12)}
    host = "node.a-name-of-sixty-characters.rack-17.row-4.fra.example.com"
    address = {"hostname": host, "ip": "2001:db8:85a3::8a2e:370:7334", "base_path": "/srv/" + "x" * 60}
    make("hosts/", {**address, "username": "deploy", "labels": labels})
    make("host-groups/", {"name": WHOLE, "labels": {"label-1": "value-" * 5}, "description": WORDS}, "/hosts/groups/")
    make("teams/", {"name": WHOLE, "description": "d" * 200})
    addresses += [f"/services/{SERVICE}/instances/", f"/services/{SERVICE}/versions/"]
    yield addresses
    for address in reversed(made):
        client.send("DELETE", address)


@pytest.mark.parametrize("size", [HALF, PHONE], ids=["half of a window", "phone"])
def test_no_page_scrolls_sideways(visit, pages, size):
    page = visit("/", viewport=size)
    wide = {}
    for address in pages:
        show(page, address)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            wide[address] = width
    assert wide == {}
