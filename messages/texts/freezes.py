"""Freezes, and the rules of RFC 5545 by which they recur."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_RECURRENCE: dict[str, Text] = {
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

_FREEZES: dict[str, Text] = {
    "clock_time_syntax": Text(
        _("must be a time such as 2027-01-31T16:00, or with its offset, such as 2027-01-31T16:00+01:00")
    ),
    "year_range": Text(_("must be a time in the years {min} to {max}")),
    "unknown_zone": Text(_("must be a time zone of the IANA database, such as Europe/Berlin")),
    "freeze_ends_before_start": Text(_("must be after the start")),
    "freeze_over": Text(_("has passed: the freeze would never hold again")),
    "freeze_too_long": Text(_("must be at most {max} days after the start of a freeze that recurs")),
    "freeze_never_ends": Text(_("leaves no break: the freeze begins again as soon as it ends")),
    "recurrence_never": Text(_("never happens")),
    "freeze_nowhere": Text(_("must name an environment, or the freeze must hold everywhere")),
    "freeze_everywhere": Text(_("must be empty where the freeze holds everywhere")),
    "not_environments": Text(_("must be a list of at most {max} environments")),
    "already_exists.freeze": Text(_("A freeze named {freeze} already exists."), _("Choose another name.")),
    "too_many_freezes": Text(_("There are {max} freezes already."), _("Delete those that are over first.")),
}

# What is wrong with a field is read after the field's name.
TEXTS = _RECURRENCE | _FREEZES
