"""The HTTP API itself."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    # The request cannot be read, or asks for what is not there.
    "not_found.address": Text(_("There is nothing at this address."), _("See /api/v1/docs for the addresses.")),
    "method_not_allowed": Text(_("This address does not allow {method}."), _("Use one of: {allowed}.")),
    "bad_request": Text(_("The request cannot be read."), _("Check its address, headers and length.")),
    "bad_request.form": Text(_("The body is not valid multipart/form-data.")),
    "bad_request.form_length": Text(
        _("multipart/form-data needs a Content-Length."), _("Send a chunked package with PUT to …/package.")
    ),
    "bad_request.answer": Text(_("The request was refused: {reason}.")),
    "incomplete": Text(_("The request ended before its body did."), _("Send it again.")),
    "unsupported_media_type": Text(_("The body must be {type}, not {sent}."), _("Send Content-Type: {type}.")),
    "unsupported_media_type.hosts": Text(
        _("The body must be application/json or text/csv."), _("Send Content-Type: text/csv or application/json.")
    ),
    "too_large": Text(_("The body is too large."), _("Send a package with PUT to …/package, and a list in parts.")),
    "too_large.body": Text(
        _("The body has more than {max} bytes."), _("Send a package with PUT to …/package, and a list in parts.")
    ),
    "too_large.import": Text(_("An import has at most {max} bytes."), _("Send it in parts.")),
    "too_large.form": Text(_("A package has at most {max} GiB.")),
    "too_slow": Text(_("The request took too long to arrive."), _("Send it again, faster.")),
    "uri_too_long": Text(_("The address is too long."), _("Send less in the query.")),
    "headers_too_large": Text(_("The headers are too many or too long."), _("Send fewer headers.")),
    "too_many_uploads": Text(_("You already have {max} uploads in progress."), _("Try again later.")),
    "too_many_connections": Text(_("Your address has too many connections open."), _("Close some of them.")),
    "busy": Text(_("The server already handles as many large requests as it can."), _("Try again later.")),
    "unavailable": Text(_("The database does not answer at the moment."), _("Try again in a moment.")),
    "internal_error": Text(
        _("An internal error occurred; your request is not the cause."),
        _("Give an administrator the id of this request: {request_id}"),
    ),
    "concurrent_update": Text(
        _("Another request changed the same data at the same time."), _("Look at it again, then decide.")
    ),
    # Who asks.
    "forbidden": Text(_("You may not do this.")),
    "forbidden.scope": Text(
        _("This needs the right {scope}."), _("Ask an owner of the team, or an administrator, for it.")
    ),
    "forbidden.bound_token": Text(
        _("This token is for named services only."), _("Use a token that is not bound to services.")
    ),
    # Retried requests.
    "idempotency_in_progress": Text(
        _("A request with this Idempotency-Key is still in progress."), _("Send it again in a moment.")
    ),
    "idempotency_lost": Text(
        _("The answer to this Idempotency-Key can no longer be read."),
        _("Check whether the request was carried out, and use a new key."),
    ),
    "idempotency_key_reused": Text(
        _("This Idempotency-Key was used for another request."), _("Use a new key for a new request.")
    ),
    # What is wrong at a place of the request.
    "not_utf8": Text(_("must be UTF-8")),
    "not_json_here": Text(_("must be JSON")),
    "form_repeated": Text(_("must not be repeated")),
    "form_nul": Text(_("must not contain NUL")),
    "form_file": Text(
        _("must be the only file of the form, once"),
    ),
    "value": Text(_("{reason}")),
}
