"""Buttons that copy a text, with the browser's clipboard and, as on a page without https, without it."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.demo, pytest.mark.found("forms")]
TEXT = "registry.example.com/shop@sha256:" + "1" * 64
BUTTON = f"""<button data-copies="{TEXT}"><svg><use href="/glyphs.svg#copy"></use></svg><span>Copy it</span></button>
<textarea></textarea>"""


WITHOUT = {
    "allowed": "",
    "no clipboard": "Object.defineProperty(navigator, 'clipboard', { value: undefined })",
    "refused": "navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))",
}


def shown(visit, *scripts: str):
    page = visit("/", permissions=["clipboard-read", "clipboard-write"])
    for script in scripts:
        page.evaluate(f"() => {{ {script} }}")
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('afterbegin', html)", BUTTON)
    page.get_by_text("Copy it").click()
    return page


@pytest.mark.parametrize("case", WITHOUT)
def test_copies_and_says_so(visit, case):
    page = shown(visit, WITHOUT[case])
    expect(page.get_by_text("Copied")).to_be_visible()
    field = page.locator("main textarea").first
    field.focus()
    page.keyboard.press("Control+V")
    expect(field).to_have_value(TEXT)
    expect(page.get_by_text("Copy it")).to_be_visible()
    assert page.locator("main use").first.get_attribute("href") == "/glyphs.svg#copy"


def test_shows_the_text_where_nothing_may_be_copied(visit):
    page = shown(visit, WITHOUT["refused"], "document.execCommand = () => false")
    expect(page.get_by_text("Press Ctrl+C to copy")).to_be_visible()
    field = page.locator(".to-copy")
    expect(field).to_be_focused()
    assert page.evaluate("getSelection().toString()") == TEXT
    field.blur()
    expect(field).to_have_count(0)


def test_copies_the_address_as_it_is_by_then(visit):
    page = visit("/deployments/", permissions=["clipboard-read", "clipboard-write"])
    link = '<button data-copies-address><svg><use href="/glyphs.svg#copy"></use></svg><span>Copy link</span></button>'
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('afterbegin', html)", link)
    page.evaluate("history.replaceState(null, '', '?status=failed#L7')")
    page.get_by_text("Copy link").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith("/deployments/?status=failed#L7")
