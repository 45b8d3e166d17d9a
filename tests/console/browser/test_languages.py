"""The console in a browser in Shanghai: its language, its clock, and the way to another language."""

import re

import pytest

from tests.console.browser.axe import violations
from tests.console.browser.pages import PAGES, show

pytestmark = pytest.mark.browser

SHANGHAI = {"locale": "zh-CN", "timezone_id": "Asia/Shanghai"}
# Names are what they are in every language, as "deployment.ended" of an event; a page shows no other English word.
ENGLISH = re.compile(r"\b(?!\w+\.\w)(the|and|of|with|no|not|yet|from|service|version|host|deployment|never|ago)\b")


def test_chinese_pages_and_local_times(visit):
    page = visit("/", labels=("用户名", "密码", "登录"), **SHANGHAI)
    for address in PAGES:
        show(page, address)
        assert page.locator("html").get_attribute("lang") == "zh-hans"
        for text in page.locator("main :is(h1, h2, th[scope=col], button, label, legend)").all_inner_texts():
            assert not ENGLISH.search(text), f"{address}: {text}"
        assert violations(page) == [], address
    page.goto("/deployments/")
    assert re.search(r"\d+ (秒|分钟)前|刚刚", page.locator("time[data-age]").first.inner_text())

    page.context.clear_cookies(name="zone")
    for known in (False, True):  # by the page's script at first, and from then on by the server
        page.goto("/history/")
        assert (page.locator("html").get_attribute("data-zone") == "Asia/Shanghai") is known
        clock = page.locator("time[data-clock]").first
        shown = page.evaluate(
            "element => new Date(element.dateTime).toLocaleTimeString('en-GB', {timeZone: 'Asia/Shanghai'})",
            clock.element_handle(),
        )
        assert shown in clock.inner_text()

    page.locator(".who").click()
    page.get_by_role("button", name="English").click()
    page.wait_for_url("**/history/")
    assert page.get_by_role("heading", name="History").is_visible()
    page.goto("/hosts/")
    assert page.get_by_role("heading", name="Hosts").is_visible()
