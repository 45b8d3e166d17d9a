"""The web page of an image, as the settings of the registry say."""

from functools import cached_property
from urllib.parse import quote

from .. import registry

DEFAULT = "https://{host}/{name}"


def page_of(image: str, template: str = "") -> str:
    """Return the address of a pinned reference's page; "" for "". Pure.

    `template`: an address with {host}, {name} and {digest}; DEFAULT where it is empty.
    """
    place, _, digest = image.partition("@")
    host, _, name = place.partition("/")
    if not name:
        return ""
    values = {"host": quote(host, ":[]"), "name": quote(name), "digest": quote(digest, ":")}
    address = template or DEFAULT
    for key, value in values.items():
        address = address.replace("{" + key + "}", value)
    return address


class ImagePages:
    """The pages of images. The settings are read with the first one: one query, or none where nothing is an image."""

    def of(self, image: str) -> str:
        return page_of(image, self._template) if image else ""

    @cached_property
    def _template(self) -> str:
        known = registry.configured("registry")
        return str(known.get("web_url") or "") if known else ""
