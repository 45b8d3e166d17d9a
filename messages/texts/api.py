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
    "no_stream_slot": Text(
        _("The server already has as many event streams open as it can."),
        _("Try again in a few seconds with the last id that you received: nothing is lost."),
    ),
    "too_many_downloads": Text(
        _("You already have {max} downloads in progress."),
        _("Try again when one of them has ended. A log can be downloaded in parts with offset."),
    ),
    "range_not_satisfiable": Text(_("The log has {size} bytes so far, and none in that range.")),
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
    "idempotency_in_progress.overtaken": Text(
        _("Another request with this Idempotency-Key was faster."), _("Send it again to get its answer.")
    ),
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
    "not_valid": Text(_("is not valid")),
    "not_valid.reason": Text(_("{reason}")),
    "invalid.file_path": Text(
        _("file_path: cannot be set: no field names an object in the store."),
        _("Publish the package with PUT to …/package."),
    ),
    "nul": Text(_("must not contain NUL")),
    "surrogate": Text(_("must not contain unpaired surrogates")),
    "too_deep": Text(_("must not be nested deeper than {max} levels")),
    "idempotency_key_syntax": Text(_("must be 1 to 255 visible ASCII characters")),
    "idempotency_key_reused.here": Text(_("was used for another request")),
    "cursor": Text(_("is not a valid cursor of this list: use `next` of the previous page")),
    "version_or_commit": Text(_("is required, or `commit` and `committed` to name the version by")),
    "event_id": Text(_("must be the id of an event")),
    "switch": Text(_("must be 0, 1, true or false")),
    "offset_too_large": Text(_("must be at most {size}, the number of bytes so far")),
    "search_term": Text(_("must be part of one line, without control characters")),
    "time_syntax": Text(_("must be a time in RFC 3339 format, such as 2026-01-31T12:00:00Z")),
    "commit_syntax": Text(_("must be a commit hash: 7 to 64 of 0-9 and a-f")),
    "form_repeated": Text(_("must not be repeated")),
    "form_file": Text(
        _("must be the only file: one part called {name} with a file name. Or send JSON, and the package afterwards")
    ),
}
