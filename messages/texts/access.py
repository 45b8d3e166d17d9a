"""Who is asking and what they may do."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

TEXTS: dict[str, Text] = {
    "not_found": Text(_("There is no such {what:term}, or you may not see it.")),
    "unauthorized": Text(_("Not signed in."), _("Send Authorization: Bearer <token>, or sign in.")),
    "reauthenticate": Text(
        _("Your password is required: you entered it too long ago."),
        _("Sign in again, or use the console, which asks for your password."),
    ),
    # The reasons that stand at fields.
    "invalid": Text(_("{field}: {reason}")),
    "invalid.several": Text(
        Plural("{field}: {reason} (and {more} more)", "{field}: {reason} (and {more} more)", "more")
    ),
    "password_required": Text(_("is required: you entered it too long ago")),
}
