"""Buttons that copy a text, with the browser's clipboard and, as on a page without https, without it."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.demo, pytest.mark.found("forms")]
TEXT = "registry.example.com/shop@sha256:" + "1" * 64
BUTTON = f"""<button data-copies="{TEXT}"><svg><use href="/glyphs.svg#copy"></use></svg><span>Copy it</span></button>
<textarea></textarea>"""


@pytest.mark.parametrize("secure", [True, False])
def test_copies_and_says_so(visit, secure):
    page = visit("/", permissions=["clipboard-read", "clipboard-write"])
    if not secure:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('afterbegin', html)", BUTTON)
    page.get_by_text("Copy it").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    field = page.locator("main textarea").first
    field.focus()
    page.keyboard.press("Control+V")
    expect(field).to_have_value(TEXT)
    expect(page.get_by_text("Copy it")).to_be_visible()
    assert page.locator("main use").first.get_attribute("href") == "/glyphs.svg#copy"
