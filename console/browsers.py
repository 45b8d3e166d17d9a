"""Names the browser or program of a request by what it says of itself. Pure."""

import re

from django.utils.translation import gettext as _

# The first that is found counts: most browsers also name those that they want to be taken for.
BROWSERS = (
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Version", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_PROGRAM = re.compile(r"([A-Za-z][\w.-]{0,40})/(\d[\w.-]{0,20})")  # the first word of what is no browser


def name_of(agent: str) -> str:
    """Return "Firefox 140 on Linux" or "curl 8.5.0"; what names itself otherwise, in its own words."""
    if agent.startswith("Mozilla/"):
        browser = next(filter(None, (_found(agent, *known) for known in BROWSERS)), "")
        system = next((name for mark, name in SYSTEMS if mark in agent), "")
        if browser and system:
            return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
        return browser or agent
    program = _PROGRAM.match(agent)
    return " ".join(program.groups()) if program else agent


def _found(agent: str, mark: str, name: str) -> str:
    version = re.search(rf"(?<![A-Za-z]){mark}/(\d{{1,5}})", agent)
    return f"{name} {version[1]}" if version else ""
