"""Hosts and credentials."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "host_archived": Text(_("{host} is archived."), _("Unarchive it first.")),
}
