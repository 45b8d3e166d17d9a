"""What axe-core finds wrong on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Page, best_practices: bool = False) -> list[str]:
    """Return each rule and element. What passes is not described: on a long page that takes longer than all checks."""
    options = {"resultTypes": ["violations"]} | ({} if best_practices else {"runOnly": RULES})
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"][:3]]
