"""Registries of images: references, sign-in, and what they said. Their own words are parameters."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_CHECK = _("Check the registry under Settings.")

TEXTS: dict[str, Text] = {
    "registry_refused": Text(_("The registry does not allow this. {reason}"), _CHECK),
    "registry_unreachable": Text(_("The registry could not be asked. {reason}"), _CHECK),
    "registry_other": Text(_("What answers is a web page and no registry. Check the address.")),
    "registry_realm": Text(_("The registry names no usable address of its token server.")),
    "registry_realm.plain": Text(
        _("The registry is reached over https, but its token server {host} over http: the password was not sent there.")
    ),
    "registry_sign_in": Text(_("The registry does not accept the user and password.")),
    "registry_sign_in.no_user": Text(_("The registry asks for a user and password, and none is set.")),
    "registry_sign_in.words": Text(_("The registry does not accept the user and password: {words}")),
    "registry_speaks_tls": Text(_("The registry speaks TLS at this address: enter it with https://.")),
    "registry_status": Text(_("The registry answers with status {status}.")),
    "registry_status.words": Text(_("The registry answers with status {status}: {words}")),
    "registry_token.away": Text(_("The registry's token server {host} gave no answer. {reason}")),
    "registry_token.redirect": Text(
        _("The registry's token server {host} redirects (status {status}), which is not followed.")
    ),
    "registry_token.unusable": Text(_("The registry's token server {host} gave no token (status {status}).")),
    # What the test of the settings found.
    "probe.registry_pull": Text(_("Images in {place} may be pulled.")),
    "probe.registry_push": Text(_("Images in {place} may be pushed.")),
    "probe.registry_no_pull": Text(_("Images in {place} may not be pulled. {reason}")),
    "probe.registry_no_push": Text(_("Images in {place} may not be pushed, which builds need. {reason}")),
    "probe.registry_only_pull": Text(
        _("Images in {place} may not be pushed. Images of pipelines can be deployed all the same. {reason}")
    ),
    # The reasons that stand at fields.
    "image_digest": Text(_("has a digest that is not sha256: and 64 of 0-9 and a-f")),
    "image_digest_differs": Text(_("has another content than its digest says: the registry's answer is not believed")),
    "image_elsewhere": Text(_("is at {host}, which is not the registry of the settings ({names})")),
    "image_kind": Text(_("is not an image that an engine can run")),
    "image_missing": Text(_("names {image}, which the registry does not have or does not show (status {status})")),
    "image_missing.words": Text(
        _("names {image}, which the registry does not have or does not show (status {status}): {words}")
    ),
    "image_name": Text(
        _("has a repository name that is not letters and digits, with single . _ - or __ between, and / between parts")
    ),
    "image_name_lower_case": Text(_("has a repository name with capital letters, which registries do not allow")),
    "image_reference": Text(_("must name an image, such as registry.example.com/team/shop:1.2")),
    "image_tag": Text(_("has a tag that is not 1 to {max} letters, digits and . _ -")),
    "registry_hosts": Text(_("must be at most {max} host names, each with its port if it has one, without https://")),
    "registry_project": Text(
        _("must be the first parts of repository names, such as team: lower case, / between parts")
    ),
    "registry_user": Text(_("must be printable and have no colon")),
    "registry_web_url": Text(
        _("must be an http or https address, in which {{host}}, {{name}} and {{digest}} may stand")
    ),
}
