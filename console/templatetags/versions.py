"""The buttons that lead from a version to the dialogs of upgrade and revert."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from microservice.status import Action

register = template.Library()
KEYS = {Action.UPGRADE: "u", Action.REVERT: "x"}  # of the keyboard: static/js/keys.js
WORDS = {Action.UPGRADE: gettext_noop("Upgrade…"), Action.REVERT: gettext_noop("Revert…")}


@register.simple_tag
def change_button(
    action: str, service: str, number: int, version: str, names_service: bool = False, within: str = "", kind: str = ""
) -> SafeString:
    """Render the button to the dialog. `number`, `version`: id and name of what runs now.

    `names_service`: say the service too, to those who hear the page; for lists of several services. `within`: the
    query that opens the dialog for an environment. `kind`: the class; by default a small button.
    """
    of = gettext("%(service)s from %(version)s") if names_service else gettext("from %(version)s")
    return format_html(
        '<a class="{}" data-key="{}" href="{}{}">{}<span class="visually-hidden"> {}</span></a>',
        kind or "button small",
        KEYS[Action(action)],
        reverse("console:change", args=[service, number, action]),
        within,
        gettext(WORDS[Action(action)]),
        of % {"service": service, "version": version},
    )
