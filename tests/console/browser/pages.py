"""Every page of the console that the demo has something to show on, for tests that walk all of them."""

from playwright.sync_api import Page

UNKNOWN = "/nothing-here/"
PAGES = (
    "/",
    "/services/checkout/",
    "/services/checkout/versions/",
    "/services/checkout/versions/1/",
    "/services/checkout/versions/2/deploy/",
    "/services/checkout/versions/2/install/",
    "/services/checkout/versions/2/revert/",
    "/services/checkout/versions/2/upgrade/",
    "/services/checkout/versions/new/",
    "/services/checkout/instances/",
    "/services/checkout/instances/1/edit/",
    "/services/checkout/settings/",
    "/new-service/",
    "/pipelines/?service=checkout",
    "/builds/",
    "/deployments/",
    "/deployments/1/",
    "/trains/",
    "/trains/new/",
    "/deployments/12/",
    "/deployments/12/revert/",
    "/operations/1/",
    "/operations/1/log/?q=o",
    "/hosts/",
    "/hosts/new/",
    "/hosts/import/",
    "/hosts/groups/",
    "/hosts/groups/new/",
    "/hosts/groups/1/",
    "/environments/",
    "/environments/new/",
    "/freezes/",
    "/freezes/new/",
    "/calendar/",
    "/hosts/1/",
    "/hosts/1/edit/",
    "/credentials/",
    "/credentials/1/",
    "/tokens/",
    "/history/",
    "/history/moves/",
    "/settings/",
    "/settings/history/",
    "/callbacks/",
    "/callbacks/new/",
    "/workers/",
    "/people/",
    "/people/1/",
    "/teams/",
    "/teams/1/",
    "/account/",
    UNKNOWN,
)


def show(page: Page, address: str) -> None:
    """Go there. What the demo has nothing to show on would pass every test: it fails here."""
    answer = page.goto(address)
    assert answer and answer.status == (404 if address == UNKNOWN else 200), address
