"""What becomes of an operation on a host, by deployer.engine.codes.Code: the text, what to do next, and the cause."""

from django.utils.translation import gettext_lazy as _

from ..text import Text
from . import connections, host_checks, host_reasons

_BY_HAND = _("Run the command below by hand. Retry once the host answers.")
_STEP = _("{step} failed: {reason}.")
_DISK = _("The host’s disk is full or not writable.")
_TOO_LONG = _("The command took longer than the service allows.")
_READ_OUTPUT = _("Read the end of the output. Raise the limit in the service’s settings only if the time was needed.")
_FORGOTTEN = _("The instance was forgotten because its host is gone for good.")

_CODES: dict[str, Text] = {
    **connections.CODES,
    # The program's answers before it began
    "lower_fence": Text(
        _(
            "The host has already seen a newer fencing token ({fence}) than any issued by this system. Was the "
            "database restored from a backup?"
        ),
        _("Check the instance’s last operation. No action is needed if a newer one succeeded."),
        _("A newer operation controls this instance."),
    ),
    "busy": Text(
        _("Another run of this service is still active on the host."),
        _("Wait until it has ended, or check the host for what is still running; then retry."),
        _("Another run of the service is still active on the host."),
    ),
    "cannot_write": Text(
        _("The service’s folder on the host cannot be created or written, or its disk is full."),
        _("Free disk space below the host’s base path and check its owner, then retry."),
        _DISK,
    ),
    "no_tool": Text(
        _("{tool} is missing on the host."), _("Install it, then retry."), _("A program is missing on the host.")
    ),
    "unsettled": Text(
        _("Operation {operation} on this instance is unfinished, and its run could not be recovered."),
        _("Check the service’s folder on the host (.deployer/runs), then retry."),
        _("An earlier operation on the host is unfinished."),
    ),
    "run_gone": Text(
        _("The host no longer knows this run, although it had begun."),
        _("Check whether the service’s folder was removed or the host restored, and what runs there; then retry."),
        _("The run’s files are gone from the host."),
    ),
    "other_host": Text(
        _("This machine and folder belong to another host: {owner}."),
        _("Use that host. If it is gone, check this one, which then takes the folder over."),
        _("This machine and folder belong to another host."),
    ),
    # Steps
    "step_failed": Text(_STEP, _("Read the output below, fix the cause, then retry from the deployment’s page.")),
    "timeout": Text(_STEP, _READ_OUTPUT, _TOO_LONG),
    "idle": Text(_STEP, _READ_OUTPUT, _TOO_LONG),
    "unchecked": Text(
        _STEP,
        _("Read the output below. Retry if the version is sound; otherwise publish a new build."),
        _("The new version started but failed its health check."),
    ),
    "disk": Text(_STEP, _("Free disk space below the host’s base path, then retry."), _DISK),
    "not_writable": Text(
        _STEP,
        _("Make the user the folder’s owner, or turn sudo on for the host; then retry."),
        _("The user cannot write where the service is installed."),
    ),
    "not_ready": Text(
        _STEP,
        _("Fix the host, the command or the package named in the error, then retry."),
        _("A later step would have failed because something is missing. Nothing was stopped."),
    ),
    "other_package": Text(
        _STEP,
        _("Upload the package again under a new version: a version is never changed."),
        _("The package differs from the one that was recorded."),
    ),
    "package": Text(
        _STEP,
        _("Rebuild the package and publish it as a new version."),
        _("The package contains something that must not be unpacked."),
    ),
    "run_as": Text(
        _STEP,
        _("Make the change named in the error, then retry."),
        _("The service’s run-as user cannot be used on the host."),
    ),
    "engine_away": Text(
        _STEP,
        _("Start the engine on the host (systemctl start docker), or set the service’s DOCKER_HOST to its address."),
        _("The host’s container engine does not answer."),
    ),
    "engine_denied": Text(
        _STEP,
        _("Add the user to the group of the engine’s socket (usermod -aG docker USER), or turn sudo on for the host."),
        _("The user may not use the host’s container engine."),
    ),
    "engine_disk": Text(
        _STEP,
        _("Free disk space where the engine keeps its images (docker system df), then retry."),
        _("The disk of the host’s container engine is full."),
    ),
    "port_taken": Text(
        _STEP,
        _("Stop what uses the port on the host (docker ps, ss -ltnp), or publish another one; then retry."),
        _("Another process or container has the port on the host."),
    ),
    "container_exists": Text(
        _STEP,
        _("Look at the container of that name on the host. Remove it if it is not needed, then retry."),
        _("A container of that name is on the host already."),
    ),
    "image_unknown": Text(
        _STEP,
        _("Check that the image was not removed from the registry. If it was, build or publish a new version."),
        _("The registry does not have the image."),
    ),
    "image_denied": Text(
        _STEP,
        _("Set a user who may pull the image in Settings, and the registry’s other names if the image uses one."),
        _("The registry does not let the host pull the image."),
    ),
    "registry_away": Text(
        _STEP,
        _("Check on the host that its engine reaches the registry, and trusts its certificate (/etc/docker/certs.d)."),
        _("The host’s engine cannot reach the registry."),
    ),
    "wrong_platform": Text(
        _STEP,
        _("Build the image for the host’s platform (uname -m), or deploy it to other hosts."),
        _("The image is for another platform than the host’s."),
    ),
    "died": Text(
        _("The run on the host died: it was killed, or the host restarted."),
        _("Check whether the host restarted or ran out of memory, then retry."),
        _("The run on the host was killed, or the host restarted."),
    ),
    "cancelled": Text(_("The operation was cancelled."), _("Retry it, or leave the instance as it is.")),
    "left_on_host": Text(
        _("These files could not be removed from the host: {paths}."),
        _("Remove them as their owner. The delete is retried automatically, or you can retry it now."),
        _("The service was stopped, but some of its files could not be removed."),
    ),
    "cut": Text(
        _("The package did not arrive whole in {tries} attempts."),
        _("Check the network to the host, then retry: the package is sent again."),
        _("The package arrived incomplete."),
    ),
    # This system
    "no_package": Text(
        _("The package cannot be sent: {reason}."),
        _("Upload it as a new version, or deploy another version."),
        _("The package is neither in the store nor on the host."),
    ),
    "no_credential": Text(
        _("{reason}"), _("Choose a credential in the host’s form, then retry."), _("The host has no credential.")
    ),
    "too_many_jumps": Text(
        _("{reason}"), _("Use fewer jump hosts, then retry."), _("There are too many jump hosts before the host.")
    ),
    "definition": Text(
        _("The operation cannot be planned: {reason}"),
        _("Change the service or the host as the error says, then deploy again."),
        _("The settings of the service and the host do not allow this operation."),
    ),
    "secrets": Text(
        _("The service’s secrets cannot be decrypted: {reason}"),
        _("Restore the key that encrypted them, or set the secrets again on the service’s page; then retry."),
        _("The service’s secrets cannot be decrypted with the keys of this installation."),
    ),
    "worker": Text(
        _("Internal worker error ({error})."),
        _("Search the worker’s log for the operation’s number. A retry asks the host again."),
        _("The worker met an internal error."),
    ),
    "lock_broken": Text(
        _("The instance was force-unlocked by {user}: {reason}"),
        _("See the history, and check the host."),
        _("The instance was force-unlocked while this operation ran."),
    ),
    "forgotten": Text(
        _("The instance was forgotten by {user}: {reason}"),
        _("See the history. If the host comes back, install the service there again."),
        _FORGOTTEN,
    ),
    "delete_forgotten": Text(
        _("The instance whose delete this install waited for was forgotten by {user}: {reason}"),
        _("See the history. If the host is back, install the service again."),
        _FORGOTTEN,
    ),
    "other": Text("{reason}", _("Read the output below, fix the cause, then retry from the deployment’s page.")),
    "see_error": Text(_("Make the change that the error names, then retry.")),
    # Around the error itself
    "with_output": Text(_("{error} The host said: {said}")),
    "with_state": Text(_("{error} {state}")),
    "given_up": Text(
        _(
            "The host could not be reached for {seconds} s, so what runs there is not known: {error} The next "
            "operation first recovers whatever was left behind."
        )
    ),
}
# What a step of this name usually fails of, where its code says no more than that its command failed.
ADVICE_BY_STEP: dict[str, Text] = {
    "prepare": Text("", _("Fix what the error names on the host, then retry."), _("The host is not ready.")),
    "upload": Text("", _("Retry: it is sent again from the beginning."), _("The package did not arrive.")),
    "unpack": Text(
        "", _("See the error; a broken package needs a new version."), _("The package could not be unpacked.")
    ),
    "pull": Text("", _("Check the image and its registry, then retry."), _("The image could not be pulled.")),
    "stop": Text(
        "",
        _("Check the service on the host, and its stop command."),
        _("The running version could not be stopped."),
    ),
    "start": Text(
        "",
        _("Read its output below. Fix the version or its start command."),
        _("The new version did not start."),
    ),
    "check": _CODES["unchecked"],
}
ADVICE_BY_STATUS: dict[str, Text] = {
    "unknown": Text("", _("The host is retried automatically. Run the command below by hand to see why it fails.")),
    "failed": Text(
        "",
        _("Check the host first: it may be between two versions. Then retry, which repairs it."),
        _("A step failed, and so did undoing the steps before it."),
    ),
}

TEXTS: dict[str, Text] = {
    **{f"operation.{code}": text for code, text in _CODES.items()},
    **host_reasons.TEXTS,
    **host_checks.TEXTS,
}
