"""Hosts and credentials."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

TEXTS: dict[str, Text] = {
    # What is wrong with a field of a host, read after the field's name.
    "hostname_syntax": Text(_("must be a hostname: letters, digits, - and _ between dots")),
    "address_syntax": Text(_("must be an IPv4 or IPv6 address, or a hostname")),
    "ip_syntax": Text(_("must be an IPv4 or IPv6 address")),
    "ip_of_one_host": Text(_("must be the address of one host, without a zone")),
    "username_syntax": Text(_("must be a user name: letters, digits and _ . @ -, and must not begin with - or .")),
    "path_not_absolute": Text(_("must be an absolute path to a folder below /")),
    "path_with_dots": Text(_("must not contain . or .. as a folder")),
    "not_labels": Text(_("must be an object of at most {max} names and texts")),
    "label_selector": Text(_("must be an object of 1 to {max} labels: names, each with a text, or null for any value")),
    "too_many_labels": Text(_("must have at most {max} labels")),
    "label_repeated": Text(_("names the label {label} twice: a host has one value of it")),
    "label_quotes": Text(_("has a quotation mark that is not closed")),
    "label_added_and_removed": Text(_("must not name labels that are added too: {labels}")),
    "no_label_to_change": Text(_("must have a label, or remove_labels a name")),
    "too_many_labels_on_hosts": Text(_("would give hosts more than {max} labels: {hosts}")),
    "no_such_group": Text(_("host group {group} not found")),
    "no_such_environment": Text(_("environment not found")),
    "requires_itself": Text(_("must be another environment")),
    "requires_circle": Text(_("would make a circle: that environment requires this one")),
    "surrounding_blanks": Text(_("must not begin or end with a blank")),
    "label_syntax": Text(
        _("has an invalid label: a name begins with a letter or a digit, then letters, digits and . _ / -")
    ),
    "not_teams": Text(_("must be a list of at most {max} teams")),
    "no_such_credential": Text(_("credential not found")),
    "no_such_host": Text(_("host not found")),
    "no_such_team": Text(_("team not found")),
    "jump_circle": Text(_("would make a circle: that host is reached through this one")),
    "too_many_jumps_before": Text(_("would put more than {max} jump hosts before this host")),
    "too_many_jumps_behind": Text(_("would put more than {max} jump hosts before a host behind this one")),
    "archive_reason": Text(_("must be 1 to {max} printable characters on one line")),
    # What is wrong with a pasted host key or fingerprint.
    "host_key_syntax": Text(
        _("must be a key (ssh-ed25519 AAAA…), a line of known_hosts, or the output of ssh-keygen -lf (256 SHA256:…)")
    ),
    "host_key_too_long": Text(_("must have at most {max} characters")),
    "host_key_kind": Text(_("must be a key of one of these types: {choices}")),
    "host_key_damaged": Text(
        _("contains a key that cannot be read: it is truncated, damaged, or of another type than its name says")
    ),
    "host_key_is_fingerprint": Text(
        _("is a fingerprint, not a key. Add the host without a key, check it, then trust the fingerprint")
    ),
    "host_key_md5": Text(_("is an MD5 fingerprint, which is not secure: print a SHA256 one with ssh-keygen -lf")),
    "host_key_private": Text(
        _("is a private key, which must never leave its host: give the public key, from the file that ends in .pub")
    ),
    "host_key_rfc4716": Text(_("is in the format of RFC 4716: convert it with ssh-keygen -i -f FILE")),
    "host_key_marker": Text(_("begins with {marker}: only a host's own key can be pinned")),
    "fingerprint_required": Text(_("is required: SHA256:… as printed by `ssh-keygen -lf` on the host")),
    "fingerprint_not_offered": Text(_("is not the fingerprint of the key that the host offers")),
    # Credentials.
    "secret_length": Text(_("must have {min} to {max} characters")),
    "secret_characters": Text(_("must not contain NUL bytes or unpaired surrogates")),
    "key_unusable": Text(_("{reason} {remedy}")),
    "secret_required_with_kind": Text(_("is required when the kind changes")),
    "password_lines": Text(_("must be one line where it is a password")),
    "passphrase_of_password": Text(_("belongs to a private key; a password has none")),
    "trial_hosts": Text(_("must name at most {max} hosts")),
    "trial_no_such_host": Text(_("host {host} not found")),
    "refused_by_host": Text(_("{host}: {reason}")),
    "credential_in_use": Text(
        _("Workers log in with {credential} on {hosts}."), _("Give those hosts another credential first.")
    ),
    "credential_in_use.somewhere": Text(
        _("Workers log in to a host with {credential}."), _("Give that host another credential first.")
    ),
    "credential_refused": Text(
        _("Nothing was saved. {host}: {reason}"),
        _("Install the new key on the hosts first, or save it without the test."),
    ),
    "already_exists.host_group": Text(_("A host group named {group} already exists."), _("Choose another name.")),
    "already_exists.environment": Text(
        _("An environment named {environment} already exists."), _("Choose another name.")
    ),
    "too_many_environments": Text(_("There are {max} environments already."), _("Delete some first.")),
    "environment_in_use": Text(_("{environment} is in use."), _("Move its hosts to another environment first.")),
    "environment_in_use.hosts": Text(
        Plural(
            "{n} host is in {environment}.",
            "{n} hosts are in {environment}.",
            "n",
        ),
        _("Move its hosts to another environment first."),
    ),
    "environment_in_use.auto_deploy": Text(
        _("New builds of {names} are deployed to {environment} by themselves."),
        _("Change the automatic deployment of those services first."),
    ),
    "environment_in_use.required": Text(
        _("{environment} is required by {names}."), _("Change what those environments require first.")
    ),
    "too_many_groups": Text(_("There are {max} host groups already."), _("Delete some first.")),
    "already_exists.credential": Text(_("A credential named {name} already exists."), _("Choose another name.")),
    # Hosts.
    "already_exists.host": Text(
        _("A host named {host} already exists."), _("Change that host, or choose another name.")
    ),
    "already_exists.unarchived_host": Text(
        _("Another host is named {host} now."), _("Rename that one first, or leave this one archived.")
    ),
    "already_exists.imported_hosts": Text(
        _("Some of these names were taken at the same moment. Nothing was imported."),
        _("Send the same file again to see which."),
    ),
    "host_archived": Text(_("{host} is archived."), _("Unarchive it first.")),
    "host_in_use": Text(
        _("{host} cannot be deleted: {rows} refer to it."),
        _("Delete its instances first. Archive a host that has a history of operations."),
    ),
    "host_in_use.somewhere": Text(
        _("{host} cannot be deleted: something refers to it."),
        _("Delete its instances first. Archive a host that has a history of operations."),
    ),
    "host_in_use.base_path": Text(
        _("Services run below {path} on {host}; its base path cannot change while they do."),
        _("Delete the host's instances first, or add the machine as another host."),
    ),
    "host_in_use.environment": Text(
        _("Something is being deployed to {host}; its environment cannot change meanwhile."),
        _("Wait until it has ended, or cancel it."),
    ),
    "host_in_use.environments": Text(
        Plural(
            "Something is being deployed to {host} and {more} other host; their environment cannot change meanwhile.",
            "Something is being deployed to {host} and {more} other hosts; their environment cannot change meanwhile.",
            "more",
        ),
        _("Wait until it has ended, or cancel it."),
    ),
    "host_timeout": Text(_("The host did not answer within {seconds} s."), _("Check its address, port and network.")),
    "host_key_unusable": Text(_("The host's key cannot be pinned ({reason})."), _("Give the host an ed25519 key.")),
    "fingerprint_differs": Text(
        _("{host} offers the key {offered}, not the one that was named ({named})."),
        _("Compare with the host's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),
    ),
    "concurrent_update.host": Text(
        _("The host was changed while it was being asked."), _("Look at it again, then decide.")
    ),
    "too_many_jumps": Text(_("{host} is behind more than {max} jump hosts."), _("Remove a jump host from the path.")),
    "no_credential": Text(
        _("{host} has no credential, so workers cannot log in."), _("Choose one on the host's page.")
    ),
    # Whose a host is.
    "host_of_another_team": Text(
        _("{service} cannot be deployed to {host}: the host belongs to other teams."),
        _("Choose a host of the service's team or of no team, or ask an administrator to share this one."),
    ),
    "host_of_another_team.several": Text(
        Plural(
            "{service} cannot be deployed to {host} and {more} other host: they belong to other teams.",
            "{service} cannot be deployed to {host} and {more} other hosts: they belong to other teams.",
            "more",
        ),
        _("Choose a host of the service's team or of no team, or ask an administrator to share this one."),
    ),
    "host_of_another_team.at": Text(_("{host} belongs to other teams than the service")),
    "team_in_the_way": Text(
        _("This would separate {whom} from what it is deployed with: {names}."),
        _("Delete those instances first, or share the hosts with both teams."),
    ),
    "team_in_the_way.at": Text(_("{name} would be separated")),
    # What a host check found.
    "same_machine": Text(
        _("This is the same machine and folder as {host}."),
        _("Use that host, and delete or archive this one; or give this one another folder."),
    ),
    "hidden_host": Text(_("another host, which you may not see")),
    "unknown_host": Text(_("an unknown host")),
    "mark_replaced": Text(
        _("The folder was marked as that of {host}, a host that no longer exists. It is marked as this host's now.")
    ),
    "mark_not_replaced": Text(
        _(
            "The folder is marked as that of {host}, a host that no longer exists. The mark could not be replaced, "
            "so every operation would be refused."
        ),
        _("Remove {path} on the host, or make {user} its owner."),
    ),
    # Imports: a row is wrong.
    "not_json": Text(_("The body is not JSON in UTF-8."), _("Send a JSON document.")),
    "invalid.import": Text(_("{place}: {reason}. Nothing was imported.")),
    "invalid.import_several": Text(
        Plural(
            "{place}: {reason}, and {more} more error. Nothing was imported.",
            "{place}: {reason}, and {more} more errors. Nothing was imported.",
            "more",
        )
    ),
    "place_line": Text(_("Line {line}, {field}")),
    "place_rows": Text(_("The rows")),
    "import_size": Text(_("must hold 1 to {max} hosts")),
    "import_not_csv": Text(_("must be CSV: {reason}")),
    "import_header": Text(_("must name each column once on the first line")),
    "import_not_list": Text(_("must be a list of hosts")),
    "import_not_object": Text(_("must be an object")),
    "import_cells": Text(_("has more cells than the first line")),
    "import_not_found": Text(_("{what:term} not found")),
    "import_name_and_id": Text(_("cannot be combined with {field}")),
    "import_repeated": Text(_("is used more than once")),
    "import_taken": Text(_("a host of this name already exists")),
    "import_differs": Text(_("a host of this name already exists, with a different {fields:term}")),
}
