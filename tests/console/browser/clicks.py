"""How many clicks a person needs, counted by the browser itself."""

from playwright.sync_api import Page

# Each click of a person, on whatever page of this tab.
COUNT = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
}, true)"""


def count_clicks(page: Page) -> None:
    """Count from now on, on this page and those after it."""
    page.evaluate(COUNT)
    page.context.add_init_script(COUNT)


def clicks(page: Page) -> int:
    return int(page.evaluate("Number(sessionStorage.clicks ?? 0)"))
