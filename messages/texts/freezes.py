"""Freezes, and the rules of RFC 5545 by which they recur."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

# What is wrong with a recurrence, read after the field's name.
TEXTS: dict[str, Text] = {
    "recurrence_syntax": Text(
        _("must be a rule of RFC 5545 with at most 255 characters, such as FREQ=WEEKLY;BYDAY=FR")
    ),
    "recurrence_frequency": Text(_("must have a FREQ, which is one of: {choices}")),
    "recurrence_part_unknown": Text(_("has the part {part}, which is not one of: {known}")),
    "recurrence_part_twice": Text(_("has the part {part} twice")),
    "recurrence_part_not_with": Text(_("has {part}, which cannot be combined with FREQ={frequency}")),
    "recurrence_two_ends": Text(_("must not have both COUNT and UNTIL")),
    "recurrence_number": Text(_("has a {part} that is not between {min} and {max}")),
    "recurrence_days": Text(_("must name days by two letters each: {days}")),
    "recurrence_until": Text(_("has an UNTIL that is not a time such as 20271231 or 20271231T160000")),
}
