"""What is wrong with a value, whichever field it stands in. Each is read after the field's name."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "required": Text(_("is required")),
    "unknown_field": Text(_("is not a known field")),
    "not_text": Text(_("must be text")),
    "not_boolean": Text(_("must be true or false")),
    "not_one_of": Text(_("must be one of {choices}")),
    "text_length": Text(_("must have {min} to {max} characters")),
    "control_characters": Text(_("must not contain control characters")),
    "surrounding_spaces": Text(_("must not begin or end with a space")),
    "number_range": Text(_("must be a whole number from {min} to {max}")),
}
