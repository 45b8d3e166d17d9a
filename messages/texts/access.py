"""Who is asking and what they may do; and the reasons at fields that several rooms give."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

TEXTS: dict[str, Text] = {
    "not_found": Text(_("There is no such {what:term}, or you may not see it.")),
    "unauthorized": Text(_("Not signed in."), _("Send Authorization: Bearer <token>, or sign in.")),
    "unauthorized.token": Text(
        _("The token is not valid: it is unknown, expired or revoked."),
        _("Send Authorization: Bearer <token>, or sign in."),
    ),
    "unauthorized.token_revoked": Text(_("The token has expired or was revoked."), _("Use another token.")),
    "forbidden.admin": Text(_("This requires the admin right."), _("Ask an administrator.")),
    "forbidden.csrf": Text(
        _("The request has a session but no valid CSRF token."),
        _("Send the value of the cookie {cookie} as X-CSRFToken, or use a bearer token."),
    ),
    "forbidden.team_owner": Text(_("You are not an owner of {team}."), _("Ask one of its owners or an administrator.")),
    "forbidden.token_ends_access": Text(
        _("A token needs the scope tokens to end sessions or to revoke tokens."), _("Do it in the console.")
    ),
    "forbidden.token_grants_access": Text(
        _("A token needs the scope tokens to set passwords, to reactivate accounts or to grant administrator rights."),
        _("Do it in the console."),
    ),
    "reauthenticate": Text(
        _("Your password is required: you entered it too long ago."),
        _("Sign in again, or use the console, which asks for your password."),
    ),
    "too_many_attempts": Text(
        _("Too many attempts."),
        Plural("Wait {seconds} second, then try again.", "Wait {seconds} seconds, then try again.", "seconds"),
    ),
    # Accounts and teams.
    "last_owner": Text(_("{team} would have no owner."), _("Make another member an owner first.")),
    "own_account.delete": Text(_("You cannot delete your own account."), _("Ask another administrator.")),
    "own_account.rights": Text(
        _("You cannot deactivate your own account or remove your own administrator rights."),
        _("Ask another administrator."),
    ),
    "team_exists": Text(_("A team named {name} already exists."), _("Choose another name.")),
    "team_in_use.approves": Text(
        _("{team} approves the deployments of an environment."), _("Choose another team for that environment first.")
    ),
    "team_in_use.hosts": Text(_("{team} has hosts."), _("Assign them to another team first, archived hosts included.")),
    "team_in_use.services": Text(_("{team} owns services."), _("Assign them to another team first.")),
    "user_exists": Text(_("A user named {name} already exists."), _("Choose another name.")),
    # The reasons that stand at fields.
    "invalid": Text(_("{field}: {reason}")),
    "invalid.several": Text(
        Plural("{field}: {reason} (and {more} more)", "{field}: {reason} (and {more} more)", "more")
    ),
    "all_digits": Text(_("must not consist of digits only")),
    "email": Text(_("is not a valid email address")),
    "length": Text(_("must be 1 to {max} printable characters")),
    "one_of": Text(_("must be one of {allowed}")),
    "one_or_more_of": Text(_("must be one or more of {allowed}")),
    "http_url": Text(_("must be an http:// or https:// address")),
    "in_the_past": Text(_("must be in the future")),
    "wrong_password": Text(_("is not your password")),
    "password_entirely_numeric": Text(_("must not consist of digits only")),
    "password_required": Text(_("is required: you entered it too long ago")),
    "password_too_common": Text(_("is one of the most common passwords")),
    "password_too_short": Text(
        Plural("must have at least {min_length} character", "must have at least {min_length} characters", "min_length")
    ),
    "password_too_similar": Text(_("is too similar to the {verbose_name}")),
    "printable": Text(_("must be at most {max} printable characters")),
    "service_account_password": Text(_("must be empty: a service account has tokens and no password")),
    "team_unknown": Text(_("is not the name or id of a team")),
    "too_long": Text(_("is longer than {max} characters")),
    "url_userinfo": Text(_("must not contain a user or password")),
    "user_unknown": Text(_("is not the name of a user")),
    "username": Text(_("must be 1 to {max} letters, digits and @ . + - _, beginning with a letter or a digit")),
}
