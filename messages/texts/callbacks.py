"""Callbacks and their deliveries."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "callback_of_request": Text(
        _("The callback belongs to one request and cannot be changed."),
        _("Delete it, or start a build with another callback_url."),
    ),
    "delivery_in_progress": Text(_("The delivery is being sent at this moment."), _("Look again in a moment.")),
    # Why a delivery failed; those of `unreachable` too.
    "delivery.address": Text(
        _("{host} has an address that callbacks may not reach (see Settings → Callback receivers).")
    ),
    "delivery.internal_error": Text(_("The delivery could not be sent: internal error ({kind}).")),
    "delivery.status": Text(_("The receiver answered with status {status}.")),
    "delivery.timeout": Text(_("The receiver gave no answer within {seconds} s.")),
    # The reasons that stand at fields.
    "address_forbidden": Text(_("is an address that callbacks may not reach (see Settings → Callback receivers)")),
    "callback_state_json": Text(_("must be a text or JSON, without infinite numbers")),
    "callback_state_max": Text(_("must be at most {max} bytes as JSON")),
    "callback_url_missing": Text(_("is required with {field}")),
    "request_callbacks_max": Text(_("would be one callback too many for this build: it may have {max}")),
    "header_forbidden": Text(_("is not a header that can be set")),
    "header_value": Text(_("must be at most {max} printable ASCII characters")),
    "headers_max": Text(_("must be at most {max} headers")),
    "headers_other_server": Text(_("must be given again: the server has changed, and they may contain a password")),
    "webhook_secret_format": Text(_("must be whsec_ followed by base64")),
    "webhook_secret_length": Text(_("must contain {min} to {max} bytes in base64")),
    "url_fragment": Text(_("must not contain a fragment")),
    "url_port": Text(_("has an invalid port")),
    "url_spaces": Text(_("must be ASCII without spaces")),
}
