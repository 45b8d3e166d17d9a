"""Every code of a refusal, with its meaning and what to do: the table on /api/v1/docs/errors.

The sentence and the hint of a response describe the case; these describe the code. A test reads the product's code and
fails where a refusal has a code that is not here, or where no refusal has one that is.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """The HTTP status of a code, its meaning in one sentence, and what to do next."""

    status: int
    means: str
    do: str


CODES: dict[str, Code] = {
    # 400: the request cannot be read
    "bad_request": Code(400, "The request cannot be read.", "Check its address, headers and length."),
    "incomplete": Code(400, "The request ended before its body did.", "Send it again."),
    "not_json": Code(400, "The body is not JSON in UTF-8.", "Send a JSON document."),
    # 401, 403, 404, 405
    "unauthorized": Code(401, "The request is not authenticated.", "Send Authorization: Bearer <token>, or sign in."),
    "forbidden": Code(403, "The caller does not have the required right.", "Ask an administrator for it."),
    "reauthenticate": Code(
        403,
        "A session can do this only shortly after its password was entered.",
        "Sign in again, or use the console, which asks for the password.",
    ),
    "not_found": Code(404, "It does not exist, or the caller may not see it.", "Check the id or name."),
    "method_not_allowed": Code(405, "This address does not allow the method.", "See its Allow header."),
    # 409: a state is in the way
    "already_installed": Code(409, "A host already has the service.", "Upgrade it there, or choose other hosts."),
    "already_exists": Code(
        409, "Something with this name already exists.", "Choose another name, or change the existing one."
    ),
    "too_many_groups": Code(409, "There are as many host groups as are allowed.", "Delete some first."),
    "too_many_environments": Code(409, "There are as many environments as are allowed.", "Delete some first."),
    "too_many_freezes": Code(409, "There are as many freezes as are allowed.", "Delete those that are over first."),
    "environment_in_use": Code(
        409, "The environment has hosts, or another one requires it.", "Move its hosts to another environment first."
    ),
    "callback_of_request": Code(
        409,
        "The callback belongs to one request and cannot be changed.",
        "Delete it, or start a build with another callback_url.",
    ),
    "delivery_in_progress": Code(409, "The delivery is being sent at this moment.", "Look again in a moment."),
    "build_ended": Code(
        409, "The version's build has already ended with another result.", "Publish it as another version."
    ),
    "concurrent_update": Code(409, "Another request changed this at the same time.", "Look at it again, then decide."),
    "build_status": Code(
        409, "The build cannot change to this status from its current one.", "Check its status: it only moves forward."
    ),
    "credential_in_use": Code(409, "Hosts use this credential.", "Give them another credential first."),
    "credential_refused": Code(
        409, "A host rejected the new credential.", "Install it there first, or save it without the test."
    ),
    "deployment_open": Code(409, "The deployment has not ended.", "Wait for its end, or cancel it."),
    "deployment_state": Code(409, "The deployment's status does not allow this.", "Check its status."),
    "engine_failed": Code(409, "The Docker engine refused what was asked of it.", "Read the reason; it is its own."),
    "image_not_pulled": Code(409, "The engine does not have the image.", "Pull it first: POST /images/pull."),
    "image_pull_failed": Code(409, "The engine could not pull the image.", "Read the reason; it is the engine's own."),
    "fingerprint_differs": Code(
        409,
        "The host's key differs from the expected fingerprint.",
        "Compare the fingerprint on the host itself before you trust it.",
    ),
    "host_archived": Code(409, "The host is archived.", "Unarchive it first."),
    "host_in_use": Code(
        409, "Something still uses the host.", "Delete its instances first, or forget them where the host is gone."
    ),
    "host_of_another_team": Code(409, "The host belongs to other teams than the service.", "Choose another host."),
    "host_key_unusable": Code(
        409, "The host's key is of a type that cannot be pinned.", "Give the host an ed25519 key."
    ),
    "host_unreachable": Code(409, "The host did not answer.", "Check its address, port and network."),
    "idempotency_in_progress": Code(409, "An identical request is in progress.", "Send it again in a moment."),
    "idempotency_lost": Code(
        409,
        "The stored response for this key cannot be decrypted.",
        "Check whether the request was carried out, then use a new key.",
    ),
    "instance_locked": Code(
        409, "A deployment has locked the instance.", 'Wait for it, leave the instance out, or send on_locked: "skip".'
    ),
    "instance_state": Code(
        409, "The instance's status does not allow this.", "Wait for its operation; or retry or delete it."
    ),
    "in_maintenance": Code(409, "The instance is in maintenance.", "End maintenance, or send force: true."),
    "registry_refused": Code(
        409, "The registry does not accept the account of the settings.", "Check the registry under Settings."
    ),
    "last_owner": Code(409, "A team needs at least one owner.", "Make another member an owner first."),
    "no_credential": Code(409, "The host has no credential.", "Give it one."),
    "no_target": Code(409, "There is no version to deploy.", "Publish one."),
    "no_sandbox": Code(409, "No worker has a sandbox for builds from git.", "Install what docs/builds.md lists."),
    "ref_not_built": Code(
        409, "The service's build_refs do not include this ref.", "Choose another ref, or change build_refs."
    ),
    "not_configured": Code(409, "A setting that this requires is missing.", "Configure it in the settings."),
    "not_locked": Code(409, "The instance is not locked.", "There is nothing to unlock."),
    "not_promoted": Code(
        409,
        "The version did not yet run well in the environment that this one requires.",
        "See what is missing, and until when.",
    ),
    "frozen": Code(
        409, "A freeze holds in the environment.", "Ask again when it ends, or let it wait with on_freeze: “wait”."
    ),
    "nothing_to_do": Code(
        409, "No instance remains for this request.", "See `errors` for each instance and the reason."
    ),
    "train_state": Code(409, "The train's status does not allow this.", "Check its status."),
    "own_account": Code(
        409, "You cannot delete or deactivate your own account or remove its rights.", "Ask another administrator."
    ),
    "package_exists": Code(
        409,
        "The version already has a different package; `errors` lists the differences.",
        "Publish it as another version.",
    ),
    "plan_changed": Code(409, "The plan has changed since it was shown.", "Request the plan again."),
    "service_exists": Code(409, "A service with this name already exists.", "Choose another name."),
    "service_in_use": Code(409, "The service has instances or a running deployment.", "Delete the instances first."),
    "service_name_locked": Code(409, "A service with versions cannot be renamed.", "Create a new service."),
    "team_exists": Code(409, "A team with this name already exists.", "Choose another name."),
    "team_in_the_way": Code(
        409, "Hosts would no longer belong to the team of what runs on them.", "Delete the instances first."
    ),
    "team_in_use": Code(
        409, "The team has services or hosts, or approves in an environment.", "Assign them to another team first."
    ),
    "too_many_jumps": Code(409, "The host is behind too many jump hosts.", "Use fewer jump hosts."),
    "user_exists": Code(409, "A user with this name already exists.", "Choose another name."),
    "version_deleted": Code(409, "The version was deleted, with its package.", "Choose another version."),
    "version_exists": Code(409, "The version already exists with other content.", "Choose another name for it."),
    "version_in_use": Code(
        409, "The version is running, being deployed, or a target for reverts.", "Deploy another version there first."
    ),
    # 408, 413, 415, 416, 422
    "too_slow": Code(408, "The request took too long to arrive.", "Send it again, faster."),
    "too_large": Code(413, "The body is too large.", "Send a package with PUT to …/package, and a list in parts."),
    "uri_too_long": Code(414, "The address is too long.", "Shorten the query."),
    "unsupported_media_type": Code(
        415, "This address does not accept the body's type.", "Send a Content-Type from the response's Accept header."
    ),
    "range_not_satisfiable": Code(416, "The range is outside of the content.", "See Content-Range for its length."),
    "headers_too_large": Code(431, "The headers are too many or too long.", "Send fewer headers."),
    "bad_package": Code(
        422,
        "The file is not a valid package.",
        "Send a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip of files and links that stay inside it.",
    ),
    "digest_mismatch": Code(
        422, "The digest of the received bytes differs from the announced one.", "Send them again."
    ),
    "idempotency_key_reused": Code(422, "The key was used for another request.", "Use a new key for each new request."),
    "invalid": Code(422, "The request is well formed but not valid.", "See `errors` for each place and the reason."),
    "settings_test_failed": Code(
        422,
        "The settings did not pass their test, and were not saved.",
        "See `errors` for each integration and its answer.",
    ),
    "unknown_action": Code(422, "The action does not exist.", "Use upgrade or revert."),
    "version_bad": Code(
        422, "The version is marked bad.", "Choose another version; as a signed-in user, you can send allow_bad: true."
    ),
    "wrong_target": Code(422, "An instance cannot be a target of this request.", "Reload the list of instances."),
    # 429 and what is wrong here
    "too_many_attempts": Code(429, "There were too many attempts.", "Wait as long as Retry-After says."),
    "too_many_connections": Code(429, "The client's address has too many open connections.", "Close some of them."),
    "too_many_downloads": Code(429, "The caller is already downloading as many logs as allowed.", "Try again later."),
    "too_many_uploads": Code(429, "The caller is already uploading as many packages as allowed.", "Try again later."),
    "internal_error": Code(
        500, "An internal error occurred; the request is not the cause.", "Give an administrator the id of the request."
    ),
    "busy": Code(
        503, "The server already handles as many of these requests as it can.", "Try again after Retry-After."
    ),
    "too_many_pulls": Code(503, "The server already watches as many pulls as it may.", "Try again after Retry-After."),
    "no_stream_slot": Code(503, "All slots for event streams are in use.", "Try again after Retry-After."),
    "engine_unreachable": Code(
        503, "The Docker engine of the settings did not answer.", "Send it again; check its address and the network."
    ),
    "registry_unreachable": Code(
        503, "The registry of the settings did not answer.", "Send it again; check its address and the network."
    ),
    "unavailable": Code(503, "The database is not available.", "Try again after Retry-After."),
}
