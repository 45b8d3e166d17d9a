"""Deployments: requests, targets, plans, rollouts."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_LOCKED = _("Wait for that deployment, or skip locked targets with on_locked: “skip”.")
_STATE = _("Check the instance's last operation.")
_MAINTENANCE = _("End maintenance on the instance, or send force: true.")
_TEAM = _("Choose a host of the service's team or of no team, or ask an administrator to share this one.")
_RACE = _("Reload, and try again.")
_INSTALLED = _("Upgrade or revert it instead. A failed first install can be repeated.")
_WRONG = _("“host” takes ids or names of hosts, “instances” takes ids of instances.")
_PLAN = _("Check the new plan.")
_OTHERS = _("{reason} Other refused targets: {more}.")

_REFUSALS: dict[str, Text] = {
    # One target: the reason itself. More: the first one, and how many others.
    "instance_locked.targets": Text(_OTHERS, _LOCKED),
    "instance_state.several": Text(_OTHERS, _STATE),
    "in_maintenance.several": Text(_OTHERS, _MAINTENANCE),
    "host_of_another_team.targets": Text(_OTHERS, _TEAM),
    "concurrent_update.targets": Text(_OTHERS, _RACE),
    "already_installed.several": Text(_OTHERS, _INSTALLED),
    "wrong_target.several": Text(_OTHERS, _WRONG),
    "plan_changed.several": Text(_("{reason} Other changes: {more}."), _PLAN),
    "nothing_to_do": Text(_("There is nothing to do: no instance matches.")),
    "nothing_to_do.not_installed": Text(
        _("There is nothing to do: {service} is not installed on any host."),
        _("Install the version on hosts first: in the console, or with deployctl install."),
    ),
    "nothing_to_do.target": Text(_("There is nothing to do: {reason}")),
    "nothing_to_do.several": Text(_("There is nothing to do: {reason} Other skipped targets: {more}.")),
    "plan_changed.expired": Text(_("The plan is more than a day old."), _("Request a new plan.")),
    "instance_locked.meanwhile": Text(_("{host} was just locked by {holder}."), _("Reload, and try again.")),
    "concurrent_update.cause": Text(
        _("Meanwhile, hosts that failed for this reason: {count}."), _("Look at them, and try again.")
    ),
    "concurrent_update.environment": Text(
        _("A host came into another environment at the same time."), _("Reload, and try again.")
    ),
    "note_length": Text(_("must be at most {max} characters")),
    "unknown_cause": Text(_("is not a cause for which an operation of deployment {deployment} failed")),
    "not_locked": Text(_("{host} is not locked.")),
    "deployment_open": Text(
        _("Deployment {deployment} is {status:term}."), _("Wait until it has ended, or cancel it.")
    ),
    "deployment_state.not_waiting": Text(_("Deployment {deployment} is {status:term}: it does not wait.")),
    "deployment_state.cannot_pause": Text(_("Deployment {deployment} is {status:term} and cannot be paused.")),
    "deployment_state.cannot_resume": Text(_("Deployment {deployment} is {status:term} and cannot be resumed.")),
    "deployment_state.cannot_cancel": Text(_("Deployment {deployment} is {status:term} and cannot be cancelled.")),
    "forbidden.approve": Text(_("{caller} may not approve deployment {deployment}.")),
    "forbidden.approve_of_team": Text(_("{caller} is not a member of {team}, who approve deployment {deployment}.")),
    "forbidden.approve_own": Text(
        _("{caller} asked for deployment {deployment}, and cannot approve it."), _("Ask somebody else.")
    ),
    "forbidden.approve_by_token": Text(
        _("In {environment} only signed-in people approve."), _("Sign in, and approve it yourself.")
    ),
    "forbidden.override": Text(_("{caller} may not begin what waits: only administrators may.")),
    "forbidden.author_gone": Text(_("The account or token of {who}, who asked for it, can no longer be used.")),
    "not_found.of_request": Text(_("Something that was asked for has been deleted.")),
    "frozen": Text(
        _("No new deployments until {until}: {names}."), _("Ask again then, or let it wait with on_freeze: “wait”.")
    ),
    "instance_locked.others": Text(_("Another deployment holds some of the hosts."), _("Wait for its end.")),
    "waits.approval": Text(_("It waits for approval: {have} of {need} so far.")),
    "waits.approval_of_team": Text(_("It waits for approval by {team}: {have} of {need} so far.")),
    "waits.freeze": Text(_("It waits for the end of a freeze, {until}: {names}.")),
    "waits.schedule": Text(_("It begins at {until}.")),
    "superseded": Text(_("Deployment {deployment}, of the newer {version}, took its place.")),
    "could_not_begin": Text(_("It could not begin because of an error in the server, whose log says more.")),
    "waited_too_long": Text(_("It waited too long.")),
    "rejected_by": Text(_("Rejected by {who}: {comment}")),
    "must_be_in_future": Text(_("must be in the future")),
    "too_far_ahead": Text(_("must be within {days} days")),
    "forbidden.deploy": Text(_("{caller} may not deploy {service}."), _("Request the scope “deploy”.")),
    "forbidden.version_bad": Text(
        _("{version} was marked bad ({bad_reason}). API tokens and automation cannot deploy it."),
        _("Sign in and deploy it yourself, or mark the version as good."),
    ),
    "unknown_action": Text("{field}: {reason}"),
    "version_bad": Text(
        "{field}: {reason}", _("Choose another version. A signed-in person can deploy it with allow_bad: true.")
    ),
    "not_promoted.bad": Text(
        _("{version} cannot go to {environment}: it was marked bad."), _("Choose another version.")
    ),
    "not_promoted.never": Text(
        _("{version} cannot go to {environment} yet: it has not run in {required}."),
        _("Deploy it to {required} first."),
    ),
    "not_promoted.too_short": Text(
        _(
            "{version} cannot go to {environment} yet: it ran in {required} for {ran} of {soak} minutes, and no longer "
            "runs there."
        ),
        _("Deploy it to {required} again, and leave it there."),
    ),
    "not_promoted.soaking": Text(
        _(
            "{version} can go to {environment} from {until} on, in {minutes} min: until then it has to run in "
            "{required}."
        ),
        _("Wait until then."),
    ),
    "no_target.upgrade": Text(
        _("No version is newer than {version}, built and not marked bad."), _("Publish a version first.")
    ),
    "no_target.revert": Text(_("No version is older than {version}, built and not marked bad.")),
}

# Why a target is skipped or refused.
_TARGETS: dict[str, Text] = {
    "instance_locked": Text(_("{host} is locked by {holder}."), _LOCKED),
    "lock_holder": Text(_("{who}, deployment {deployment}, since {since}")),
    "lock_holder.unknown": Text(_("an unknown deployment")),
    "instance_state": Text(_("{host} is {status:term}: {next_step}"), _STATE),
    "wait_for_operation": Text(_("wait for its operation to end.")),
    "retry_or_delete": Text(_("it can only be retried or deleted.")),
    "already_there": Text(_("{host} runs {version} already.")),
    "in_maintenance": Text(_("{host} is in maintenance."), _MAINTENANCE),
    "host_of_another_team.target": Text(_("{host} belongs to other teams than the service."), _TEAM),
    "concurrent_update.target": Text(_("{host} was changed by another request at the same time."), _RACE),
    "wrong_target.unknown_host": Text(_("Host {host} does not exist."), _WRONG),
    "wrong_target.host_without_instance": Text(_("Host {host} has no instance of {service}."), _WRONG),
    "wrong_target.host_runs_other_version": Text(_("Host {id} ({host}) does not run {version}."), _WRONG),
    "wrong_target.other_environment": Text(
        _("Host {host} is in {environment}, and not in {wanted}."), _("Choose hosts of one environment.")
    ),
    "wrong_target.not_changed": Text(_("Deployment {deployment} did not change host {host}.")),
    "wrong_target.no_such_label": Text(_("no host of the service has these labels: {labels}")),
    "wrong_target.no_labelled_host": Text(_("no host that could be chosen has these labels: {labels}")),
    "wrong_target.not_an_instance": Text(_("Instance {instance} is not an instance of {service}."), _WRONG),
    "wrong_target.instance_runs_other_version": Text(_("Instance {instance} does not run {version}."), _WRONG),
    "already_installed": Text(_("{host} already has {service} ({status:term})."), _INSTALLED),
    "already_installed.meanwhile": Text(_("{service} was installed on a host at the same time."), _RACE),
    "plan_changed.definition": Text(
        _("The plan has changed: the service's definition or the request is another one."), _PLAN
    ),
    "plan_changed.targets": Text(_("The plan has changed: a host of it, or what runs there, was changed."), _PLAN),
    "plan_changed.target_gone": Text(_("The plan has changed: {host} is no longer a target."), _PLAN),
    "plan_changed.target_new": Text(_("The plan has changed: {host} is a new target."), _PLAN),
    "plan_changed.target": Text(
        _("The plan has changed: {host} was changed (its address, or what its commands see)."), _PLAN
    ),
    "plan_changed.target_version": Text(_("The plan has changed: {host} was changed (it runs {version})."), _PLAN),
}

# What is wrong with a field.
_FIELDS: dict[str, Text] = {
    "environment_required": Text(_("is required: the targets are in {names}; a deployment stays within one of them")),
    "several_environments": Text(_("must be in one environment, and not in {names}")),
    "no_environment": Text(_("no environment")),
    "must_not_be_empty": Text(_("must not be empty")),
    "batch_size": Text(_("must be a whole number of at least 1, or a percentage from “1%” to “100%”")),
    "host_list": Text(_("must be “all”, or hosts by id or name such as “1,2,3”, [1, 2, 3] or [“web1”, “web2”]")),
    "instance_list": Text(_("must be ids of instances such as “1,2,3” or [1, 2, 3]")),
    "host_required": Text(_("is required: “all”, or hosts by id or name. Or send instances, by id")),
    "exclusive_fields": Text(_("cannot be combined: send one of host, instances, labels and group")),
    "host_or_labels_required": Text(_("is required: “all”, or hosts by id or name. Or send labels, or group")),
    "install_host_required": Text(_("is required: hosts by id or name. Or send labels, or group")),
    "install_not_all": Text(_("must name hosts by id or name: an install never goes to “all”")),
    "too_many_targets": Text(_("must not name more than {max}; use several requests")),
    "revert_only": Text(_("is only allowed with a revert")),
    "install_must_hold": Text(_("must be hold: an install has no version to revert to")),
    "destination_not_allowed": Text(_("cannot be {version}: {reason}")),
    "build_not_successful": Text(_("build {status:term}")),
    "marked_bad": Text(_("marked bad: {reason}")),
    "no_reason_given": Text(_("no reason given")),
    "currently_running": Text(_("currently running")),
    "upgrade_needs_newer": Text(_("an upgrade needs a newer version")),
    "revert_needs_older": Text(_("a revert needs an older version")),
    "version_marked_bad": Text(_("{version} was marked bad: {bad_reason}")),
    "version_not_built": Text(_("{version} cannot be installed: its build is {status:term}")),
    "package_missing": Text(_("the package of {version} is not in the store")),
    "package_invalid": Text(_("the package of {version} is invalid: {error}")),
    "no_plan": Text(_("cannot be deployed: {error}")),
    "not_a_plan_token": Text(_("is not a plan token of this system")),
    "cannot_revert": Text(_("deployment {deployment} is an {action:term}: there is no version to revert to")),
    "reason_required": Text(_("must give the reason in 1 to {max} characters")),
}

# Why a deployment has its status, and what an operation ended with.
_REASONS: dict[str, Text] = {
    "paused_by": Text(_("Paused by {who}.")),
    "cancelled_by": Text(_("Cancelled by {who}.")),
    "paused_between_batches": Text(_("Paused after a batch: resume to start the next one.")),
    "cancelled_undo_failed": Text(_("Cancelled, but an undo failed.")),
}

TEXTS: dict[str, Text] = _REFUSALS | _TARGETS | _FIELDS | _REASONS
