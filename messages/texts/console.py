"""The console's own pages."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "not_found.page": Text(_("There is nothing at this address.")),
    "bad_request.page": Text(_("The request cannot be read."), _("Check the address.")),
    "too_large.page": Text(_("The form is too large."), _("Send a list in parts. A package has its own form.")),
    "forbidden.stale_form": Text(
        _("This form was opened in another session."),
        _("Go back, reload the page and send the form again. If this repeats, allow cookies for this site."),
    ),
    "method_not_allowed.page": Text(_("This page does not accept that method.")),
    "forbidden.no_team_role": Text(
        _("You have no role in any team."), _("Ask a team's owner or an administrator for a role.")
    ),
    "forbidden.page_scope": Text(_("This page requires the “{scope}” scope."), _("Ask an administrator for it.")),
    "forbidden.page_service_scope": Text(
        _("You need the “{scope}” scope for {service}."), _("Ask an administrator for it.")
    ),
    "concurrent_update.settings": Text(
        _("Someone else changed the settings since you loaded this page."), _("Reload the page and decide again.")
    ),
    "idempotency_key_reused.form": Text(
        _("This form was already submitted with other choices."), _("Reload the page and try again.")
    ),
    # Reasons at fields.
    "not_a_filter": Text(_("must be what a list is filtered by")),
    "text_not_json": Text(_("must be a JSON list of hosts, or CSV")),
    "not_ids": Text(_("must be ids")),
    "not_form_key": Text(_("must be the key of this form; reload the page")),
    "not_member": Text(_("is not a member of this team")),
    "not_team_service": Text(_("is not a service of this team")),
    "not_visible_service": Text(_("names a service that does not exist or that you may not see")),
    "not_service_name": Text(_("must be the service's name")),
    "no_host_selected": Text(_("select at least one host")),
    "no_instance_selected": Text(_("select at least one instance")),
    "not_one_line": Text(_("must be part of one line, without control characters")),
    "not_a_time": Text(_("must be a time such as 2027-01-31T14:00")),
    "not_after_start": Text(_("must be after the start")),
}
