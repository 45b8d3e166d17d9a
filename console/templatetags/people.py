"""What templates say of people and their browsers, and which pages of the settings a person may open."""

from dataclasses import dataclass

from django import template
from django.template import Context
from django.urls import resolve, reverse
from django.utils.translation import gettext, gettext_noop

from .. import browsers

register = template.Library()
SETTINGS = (  # the name of each page is that of its address, and of its tab unless that is another
    ("settings", "integrations", gettext_noop("Integrations")),
    ("callbacks", "callbacks", gettext_noop("Callbacks")),
    ("environments", "environments", gettext_noop("Environments")),
    ("freezes", "freezes", gettext_noop("Freezes")),
    ("people", "people", gettext_noop("Users")),
    ("teams", "teams", gettext_noop("Teams")),
    ("workers", "workers", gettext_noop("Workers")),
    ("tokens", "tokens", gettext_noop("Tokens")),
    ("pipelines", "pipelines", gettext_noop("Pipelines")),
    ("account", "account", gettext_noop("My account")),
)


@dataclass(frozen=True, slots=True)
class Tab:
    tab: str
    title: str
    address: str


@register.simple_tag(takes_context=True)
def settings_pages(context: Context) -> list[Tab]:
    """Return the pages of the settings that the person may open, in order."""
    caller = context["request"].page_caller
    every = [Tab(tab, gettext(title), reverse(f"console:{name}")) for name, tab, title in SETTINGS]
    return [one for one in every if getattr(resolve(one.address).func, "needs").admits(caller, sends=False)]  # noqa: B009


@register.filter
def browser(agent: str | None) -> str:
    """Return the name of the browser or program that called itself `agent`."""
    return browsers.name_of(agent or "")
