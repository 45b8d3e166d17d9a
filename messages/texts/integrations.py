"""Integrations: their settings, what their tests found, and the HTTP client that build servers and callbacks share."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

_CONFIGURE = _("Configure it under Settings ({page_path}), or with PUT /api/v1/settings/.")

TEXTS: dict[str, Text] = {
    "integration.callbacks": Text(_("Callback receivers")),
    "integration.docker": Text(_("Docker engine")),
    "integration.gitlab": Text(_("GitLab")),
    "integration.jenkins": Text(_("Jenkins")),
    "integration.package_store": Text(_("Package store")),
    "integration.proxies": Text(_("Proxies")),
    "integration.registry": Text(_("Registry")),
    # If not configured: …
    "unconfigured.callbacks": Text(_("Callbacks reach only public addresses and those in CALLBACK_ALLOWED_NETWORKS.")),
    "unconfigured.docker": Text(_("Images cannot be built, and none can be looked into.")),
    "unconfigured.gitlab": Text(_("Builds cannot be started in GitLab, and its webhooks are rejected.")),
    "unconfigured.jenkins": Text(_("Builds cannot be started in Jenkins, and its webhooks are rejected.")),
    "unconfigured.package_store": Text(_("Packages are kept in the local folder PACKAGE_ROOT.")),
    "unconfigured.proxies": Text(_("Outgoing connections do not use a proxy.")),
    "unconfigured.registry": Text(_("Images can be neither published nor built, and hosts pull without a sign-in.")),
    "not_configured.integration": Text(_("{integration} is not configured."), _CONFIGURE),
    "not_configured.webhook_secret": Text(_("{integration} has no webhook secret."), _CONFIGURE),
    "settings_test_failed": Text(
        _("{integration} failed its test at the step “{step:term}”. {reason}"),
        _("Nothing was saved. Test without saving with POST /api/v1/settings/check."),
    ),
    # Requests to servers.
    "unreachable": Text(_("The server could not be reached. {reason}")),
    "unreachable.answer_incomplete": Text(_("The server's answer was cut short.")),
    "unreachable.answer_too_large": Text(_("The server's answer is too large: more than {max} bytes.")),
    "unreachable.certificate": Text(_("The server's certificate is not trusted: {reason}")),
    "unreachable.proxy": Text(_("The proxy could not be reached. {reason}")),
    "unreachable.proxy_answer": Text(_("The proxy's answer is not that of a proxy.")),
    "unreachable.proxy_refused": Text(_("The proxy refused the connection with status {status}.")),
    "unreachable.client_certificate": Text(
        _("The server does not accept the client certificate, or misses one ({reason}).")
    ),
    "unreachable.speaks_no_tls": Text(_("The server does not speak TLS at this address: is it http://?")),
    "unreachable.timeout": Text(_("The server did not answer in time.")),
    # What the test of an integration found.
    "probe.anonymous": Text(_("Without an account.")),
    "probe.answer_unexpected": Text(_("The answer is not what this kind of server gives. Check the address.")),
    "probe.certificates": Text(_("The certificates can be read.")),
    "probe.content_differs": Text(_("The file read is not the file written.")),
    "probe.content_equal": Text(_("The file read is the file written.")),
    "probe.credentials_wrong": Text(_("The user, token or password is wrong.")),
    "probe.deleted": Text(_("The probe file is gone.")),
    "probe.direct": Text(_("No proxy: all connections are direct.")),
    "probe.entries": Text(Plural("{count} entry.", "{count} entries.", "count")),
    "probe.error": Text(_("{kind}: {reason}")),
    "probe.folder_missing": Text(_("{folder} is not an existing folder.")),
    "probe.forbidden": Text(_("This user or token does not have the permission.")),
    "probe.free_space": Text(_("{mib} MiB free.")),
    "probe.jobs": Text(Plural("{count} job.", "{count} jobs.", "count")),
    "probe.listable": Text(_("The list can be read.")),
    "probe.no_proxy": Text(_("Callbacks are to use the proxies, and there are none.")),
    "probe.not_deleted": Text(_("The probe file still exists.")),
    "probe.not_found": Text(_("There is nothing at this address.")),
    "probe.proxy_answers": Text(_("The proxy answers with status {status}.")),
    "probe.receivers": Text(Plural("{count} entry.", "{count} entries.", "count")),
    "probe.redirect": Text(
        _("The server redirects (status {status}), which is not followed. Enter the address that it redirects to.")
    ),
    "probe.signed_in": Text(_("As {user}.")),
    "probe.status": Text(_("The server answers with status {status}.")),
    "probe.timeout": Text(_("No answer within {seconds} s.")),
    "probe.written": Text(Plural("{count} byte written.", "{count} bytes written.", "count")),
    # The reasons that stand at fields.
    "address_plain": Text(_("must be a plain ASCII address without spaces, query or fragment")),
    "binding": Text(_('must be {{"project": …, "team": …}}, each with 1 to {max} printable characters')),
    "binding_wildcard": Text(_('may contain * only once in a project, at its end, such as "red-team/*"')),
    "bindings": Text(_("must be a list of at most {max} bindings")),
    "certificates_unreadable": Text(_("contains certificates that cannot be read: {reason}")),
    "client_key_missing": Text(_("is required with client_cert")),
    "folder_absolute": Text(_("must be an absolute path, such as /srv/packages")),
    "host_names": Text(_("must be host names without spaces")),
    "project_missing": Text(_("does not name a project that can be bound to a team")),
    "project_not_bound": Text(_("names {project}, which the settings do not bind to the team {team}")),
    "project_not_bound.no_team": Text(_("names {project}, which the settings do not bind to services without a team")),
    "receiver_entry": Text(
        _("contains “{entry}”, which is no network (10.0.0.0/8), address or host name (ci.internal, *.internal)")
    ),
    "receivers_max": Text(_("must be at most {max} entries")),
    "secret_other_address": Text(_("must be given again: the address has changed")),
    "server_other": Text(_("must be an address of the configured server: {server}")),
}
