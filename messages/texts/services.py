"""Services, versions, instances and tokens."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

_CHOOSE_NAME = _("Choose another name.")
_ASK_ADMIN = _("Ask an administrator.")

TEXTS: dict[str, Text] = {
    # Services.
    "service_exists": Text(_("A service named {service} already exists."), _CHOOSE_NAME),
    "service_name_locked": Text(
        _("{service} has versions, so it cannot be renamed."), _("Create a new service instead.")
    ),
    "service_in_use.instances": Text(
        Plural("{service} has {count} instance.", "{service} has {count} instances.", "count"),
        _("Delete its instances first."),
    ),
    "service_in_use.deployment": Text(_("A deployment of {service} is in progress."), _("Wait until it has finished.")),
    "forbidden.service": Text(_("You need the right “{right}” for {service}."), _ASK_ADMIN),
    "forbidden.create_service": Text(
        _("You need the right “admin”, or must be an owner of the service's team."),
        _("Name a team that you own in `team`."),
    ),
    "forbidden.create_service_by_token": Text(
        _("A token for named services cannot create services."), _("Use a token for all services.")
    ),
    "forbidden.assign_service": Text(
        _("You need the right “admin”, or must be an owner of the team that receives the service."), _ASK_ADMIN
    ),
    "forbidden.build_fields": Text(
        _("You need the right “build”: {fields} decide what runs on build machines."), _ASK_ADMIN
    ),
    "forbidden.build_fields_by_token": Text(
        _("You need the right “build”: {fields} decide what runs on build machines."),
        _("A token for named services needs the scope “build” explicitly."),
    ),
    "service_syntax": Text(_("must be the id or the name of a service")),
    "needs_build_right": Text(_("requires the right “build”")),
    "refs_list": Text(_("must be a list of at most {max} patterns")),
    "refs_pattern": Text(_("must contain patterns of branches and tags, such as release/*, not {value}")),
    "command_length": Text(_("must have at most {max} characters")),
    "command_characters": Text(_("must not contain control characters except tabs and LF line ends")),
    "url_with_credentials": Text(
        _("must not contain a user name or password: use build_username and build_password, which cannot be read back")
    ),
    "link_userinfo": Text(_("must not contain a user name or password: everyone who sees the service sees its links")),
    "commit_place": Text(_("must contain {{commit}}, which stands for the hash of a commit")),
    "name_syntax": Text(_("must begin with a letter or a digit, followed by letters, digits and . _ + -")),
    # The definition: deployer/engine/spec.py.
    "run_as_syntax": Text(_("must be a user name: a-z or _, followed by at most 31 of a-z, 0-9, _ and -")),
    "private_releases_user": Text(_("requires run_as: the user that the service runs as")),
    "environment_not_map": Text(_("must map names to texts")),
    "variable_name": Text(_("{name} is not a valid variable name: a letter, followed by letters, digits and _")),
    "variable_of_deployment": Text(_("{name} is set by the deployment itself")),
    "variable_value": Text(_("{name} must be a text of at most {max} characters without NUL")),
    "limits_not_map": Text(_("must map names to numbers")),
    "limit_unknown": Text(_("{name} is not a limit; the limits are {limits}")),
    "limit_bounds": Text(_("{name} must be a whole number from {min} to {max}")),
    "steps_not_list": Text(_("must be a list of steps")),
    "step_keys": Text(_("a step has only the keys “name”, “before”, “run”, “undo” and “check”")),
    "step_name": Text(
        _("the name of a step has 1 to 40 letters, digits and . _ -, beginning with a letter or a digit")
    ),
    "step_repeated": Text(_("the step {step} is listed twice, or has the name of a built-in step")),
    "step_before": Text(_("“before” of the step {step} must be one of {allowed}")),
    "step_without_run": Text(_("the step {step} needs a command: “run”")),
    "step_command": Text(_("“{key}” of the step {step} must be a text of at most {max} characters without NUL")),
    "encoding_unknown": Text(_("must be one of {allowed}")),
    # The commands of a container service: microservice/catalog/containers.py.
    "container_lines": Text(_("must have at most {max} lines")),
    "container_length": Text(_("must have 1 to 1000 characters in each line")),
    "container_characters": Text(_("must not contain control characters: {value}")),
    "container_dollar": Text(
        _("{value} has a “$” that begins no variable of commands, such as $PORT or $SHARED; write $$ for a “$”")
    ),
    "container_publish": Text(
        _(
            "must name a port of the host and one of the container, such as $PORT:8080 or 127.0.0.1:53:53/udp, not "
            "{value}"
        )
    ),
    "container_volume": Text(
        _("must name two folders, such as $SHARED/data:/var/lib/data or /etc/tls:/tls:ro, not {value}")
    ),
    "container_variable_unknown": Text(_("{name} is neither in the environment nor a secret of the service")),
    "container_memory": Text(_("must be a number of bytes, or one with k, m or g, such as 512m")),
    "container_cpus": Text(_("must be a number such as 1.5")),
    "container_seconds": Text(_("must be a whole number from {min} to {max}")),
    "container_option": Text(_("must be one option of `docker run` per line, such as --read-only, not {value}")),
    "container_option_taken": Text(_("must not have {value}: the commands or another field decide it")),
    "container_option_value": Text(_("must have the value of an option behind a “=” in its line, not {value}")),
    "container_check_nothing": Text(_("must be empty: this check only looks whether the container runs")),
    "container_check_value": Text(_("must say what is checked")),
    "container_port": Text(_("must be a port from 1 to 65535, or $PORT")),
    "container_url": Text(_("must be an address such as http://127.0.0.1:$PORT/health")),
    # What a model's own validators say.
    "model.max_length": Text(
        Plural("must have at most {limit_value} character", "must have at most {limit_value} characters", "limit_value")
    ),
    "model.min_value": Text(_("must be at least {limit_value}")),
    "model.max_value": Text(_("must be at most {limit_value}")),
    "model.choice": Text(_("must be one of the allowed values, not {value}")),
    # Secrets of services.
    "secret_in_environment": Text(_("{name} is already a variable of the environment")),
    "secret_of_build": Text(_("{name} is set by the build itself")),
    "secret_bytes": Text(_("must have at most {max} bytes")),
    "secret_nul": Text(_("must not contain NUL bytes")),
    "secret_short": Text(
        _("must have at least {min} bytes without surrounding whitespace: shorter values cannot be masked in output")
    ),
    "secret_control_characters": Text(_("must not contain control characters")),
    "secrets_count": Text(_("must have at most {max} entries")),
    "secrets_bytes": Text(_("must have at most {max} bytes in total")),
    "secrets_lines": Text(_("must have at most {max} lines in total")),
    "build_key_unusable": Text(_("must be a private key without a passphrase: {problem}")),
    "password_of_other_server": Text(_("was entered for {server}: enter it again for the new address, or remove it")),
    # Versions.
    "not_of_service": Text(_("is not a version of {service}")),
    "version_exists": Text(
        _("{version} already exists with a different {fields:term}."),
        _("Versions cannot be edited. Choose another name."),
    ),
    "differs_from_existing": Text(_("differs from the existing version")),
    "concurrent_update.version": Text(
        _("{version} was changed by another request at the same time."), _("Reload, and try again.")
    ),
    "bad_reason_required": Text(_("must give the reason why the version is bad")),
    "build_status.transition": Text(_("A build cannot change from {old:term} to {new:term}.")),
    "status_is": Text(_("is {status:term}")),
    "version_deleted": Text(_("{version} was deleted, together with its package."), _("Choose another version.")),
    "deleted": Text(_("{version} was deleted")),
    "version_in_use": Text(
        _("{version} cannot be deleted: {reasons}."),
        _("Upgrade or revert those instances first, or delete or forget them."),
    ),
    "version_use.building": Text(_("it is being built")),
    "version_use.runs": Text(_("it runs on {host}")),
    "version_use.revert": Text(_("{host} may be reverted to it")),
    "version_use.retry": Text(_("an operation toward it failed on {host} and can be retried")),
    "version_use.deployment": Text(_("deployment {deployment} uses it")),
    # Instances and hosts.
    "instance_locked.fields": Text(
        _("{host} is locked by {holder}, and its {fields:term} cannot change meanwhile."),
        _("Wait until the deployment has finished. Description and maintenance can change at any time."),
    ),
    "instance_locked.fields_meanwhile": Text(
        _("{host} was locked at the same time, and its {fields:term} could not be changed."), _("Try again.")
    ),
    "concurrent_update.matching_hosts": Text(
        _("The list has changed: {n} hosts match the filter now."), _("Look at the list again, then decide.")
    ),
    "concurrent_update.matching": Text(
        _("The list has changed: {n} instances match the filter now."), _("Look at the list again, then decide.")
    ),
    "concurrent_update.instances": Text(
        _("Instances of {service} were changed by another request at the same time."), _("Reload, and try again.")
    ),
    "host_in_use.instances": Text(
        _("{host} cannot be archived: it has instances of {services}."),
        _("Delete the instances, or forget them if the host is gone for good."),
    ),
    "host_in_use.operations": Text(
        Plural(
            "{host} cannot be archived: deployment {deployments} still has operations on it.",
            "{host} cannot be archived: deployments {deployments} still have operations on it.",
            "count",
        ),
        _("Cancel the deployment, or wait until it has finished."),
    ),
    "host_in_use.jump_host": Text(
        _("{host} cannot be archived: it is the jump host of {hosts}."), _("Change their jump host first.")
    ),
    "host_use.instance": Text(_("{service} is installed on it")),
    "host_use.operation": Text(_("deployment {deployment} still has an operation on it")),
    "host_use.jump_host": Text(_("{host} is reached through it")),
    # Tokens.
    "forbidden.create_token": Text(
        _("A token needs the scope “tokens” to create tokens."), _("Create it in the console.")
    ),
    "forbidden.grant": Text(
        _("You cannot grant rights that you do not have: {rights}."), _("Leave them out, or ask an administrator.")
    ),
    "forbidden.revoke_token": Text(
        _("A token needs the scope “tokens” to revoke other tokens."), _("Revoke it in the console.")
    ),
    "forbidden.revoke_stronger_token": Text(
        _("A token cannot revoke a token that has more rights: {rights}."), _("Revoke it in the console.")
    ),
    "forbidden.token_for_account": Text(_("Only administrators create tokens for a service account."), _ASK_ADMIN),
    "forbidden.token_outlives_parent": Text(
        _("A token cannot create a token that outlives it."), _("Choose an end before {end}.")
    ),
    "forbidden.endless_token": Text(
        _("Only administrators and service accounts can have tokens that are valid for more than a year."),
        _("Choose an end within {days} days."),
    ),
    "unauthorized.session_ended": Text(_("The session has ended."), _("Sign in again.")),
    "not_a_service_account": Text(_("must be a service account: users create their own tokens")),
    # Output.
    "busy.search": Text(
        _("The server is already running as many searches as it allows."), _("Search again in a moment.")
    ),
}
