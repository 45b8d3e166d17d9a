"""Every code that a refusal can carry, with what it means and what to do: the table on /api/v1/docs/errors.

The sentence and the hint in an answer speak of the case at hand; these speak of the code. A test reads the code of the
project and fails where a refusal carries a code that is not here, or where one here is carried by none.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A stable word's meaning: the HTTP status it comes with, one sentence, and what to do next."""

    status: int
    means: str
    do: str


CODES: dict[str, Code] = {
    # 400: the request cannot be read
    "bad_request": Code(400, "The request cannot be read.", "Look at its address, its headers and its length."),
    "incomplete": Code(400, "The request ended before its body did.", "Send it again."),
    "not_json": Code(400, "The body is not JSON in UTF-8.", "Send a JSON document."),
    # 401, 403, 404, 405
    "unauthorized": Code(401, "Nobody was recognised.", "Send Authorization: Bearer <token>, or sign in."),
    "forbidden": Code(403, "The caller was recognised and lacks the right.", "Ask somebody with the right admin."),
    "reauthenticate": Code(
        403,
        "A session does this only shortly after its password was given.",
        "Sign in again, or do it in the console, which asks for the password.",
    ),
    "not_found": Code(404, "It does not exist, or the caller may not see it.", "Look at the id or the name."),
    "method_not_allowed": Code(405, "This address does not take that method.", "See its Allow header."),
    # 409: a state is in the way
    "already_installed": Code(409, "A host has the service already.", "Upgrade it there, or name other hosts."),
    "already_exists": Code(409, "Something with this name already exists.", "Choose another name, or change it."),
    "delivery_in_progress": Code(409, "The delivery is being sent at this moment.", "Look at it again in a moment."),
    "build_ended": Code(409, "The version's build has ended otherwise.", "Publish it as another version."),
    "concurrent_update": Code(409, "Something else changed this at the same moment.", "Look at it again, then decide."),
    "build_status": Code(409, "A build does not become that from what it is.", "Statuses only move on, never back."),
    "credential_in_use": Code(409, "Hosts are logged in to with this credential.", "Give them another one first."),
    "credential_refused": Code(
        409, "A host did not let the new credential in.", "Put it in place there first, or save it without the test."
    ),
    "deployment_open": Code(409, "The deployment has not ended.", "Wait for its end, or cancel it."),
    "deployment_state": Code(409, "The deployment is not in a state that allows this.", "Look how far it has come."),
    "fingerprint_differs": Code(
        409,
        "The host offers another key than the one that was named.",
        "Compare the fingerprint with the host's own before you trust it.",
    ),
    "host_archived": Code(409, "The host is archived.", "Bring it back first: unarchive it."),
    "host_in_use": Code(
        409, "Something still refers to the host.", "Delete its instances first, or forget them where it is gone."
    ),
    "host_of_another_team": Code(409, "The host belongs to other teams than the service.", "Choose another host."),
    "host_key_unusable": Code(409, "The host offers a key of a kind that cannot be pinned.", "Give it an ed25519 key."),
    "host_unreachable": Code(409, "The host did not answer.", "Look at its address, port and network."),
    "idempotency_in_progress": Code(409, "An equal request is being answered.", "Send it again in a moment."),
    "idempotency_lost": Code(
        409, "The answer to this key can no longer be read.", "Look whether it was done, and use a new key."
    ),
    "instance_locked": Code(
        409, "A deployment holds the instance.", 'Wait for it, leave the instance out, or send on_locked: "skip".'
    ),
    "instance_state": Code(
        409, "The instance's status does not allow this.", "Wait for its operation; or retry or delete it."
    ),
    "in_maintenance": Code(409, "The instance is in maintenance.", "End maintenance, or send force: true."),
    "last_owner": Code(409, "A team keeps at least one owner.", "Make somebody else an owner first."),
    "no_credential": Code(409, "The host has no credential to log in with.", "Give it one."),
    "no_target": Code(409, "There is no version to go to.", "Publish one."),
    "no_sandbox": Code(409, "No worker has a sandbox for builds from git.", "Install what docs/builds.md names."),
    "ref_not_built": Code(409, "The service does not build this ref.", "Choose another, or change build_refs."),
    "not_configured": Code(409, "This needs something from outside that is not set up.", "Set it up in the settings."),
    "not_locked": Code(409, "The instance is not locked.", "There is nothing to break."),
    "nothing_to_do": Code(409, "No instance is left that this could be done to.", "`errors` names each and why."),
    "own_account": Code(409, "Nobody takes their own account or its rights away.", "Ask another administrator."),
    "package_exists": Code(
        409, "The version has another package already; `errors` names what differs.", "Publish it as another version."
    ),
    "plan_changed": Code(409, "What would run now is not what was shown.", "Ask for the plan again."),
    "service_exists": Code(409, "There is a service with this name.", "Choose another name."),
    "service_in_use": Code(409, "The service has instances or a deployment going on.", "Delete the instances first."),
    "service_name_locked": Code(409, "The service has versions, so its name stays.", "Make a new service."),
    "team_exists": Code(409, "There is a team with this name.", "Choose another name."),
    "team_in_the_way": Code(409, "Hosts would be separated from what runs there.", "Delete the instances first."),
    "team_in_use": Code(409, "Services or hosts belong to the team.", "Give them to another team first."),
    "too_many_jumps": Code(409, "The way to the host has too many jump hosts.", "Shorten it."),
    "user_exists": Code(409, "There is a user with this name.", "Choose another name."),
    "version_deleted": Code(409, "The version was deleted, with its package.", "Choose another version."),
    "version_exists": Code(409, "The version is there already with other content.", "Choose another name for it."),
    "version_in_use": Code(
        409, "The version runs somewhere, may be reverted to or is on its way.", "Go to another version there first."
    ),
    # 408, 413, 415, 416, 422
    "too_slow": Code(408, "The request took too long to arrive.", "Send it again, faster."),
    "too_large": Code(413, "The body is too large.", "A package is sent with PUT to …/package; a list in parts."),
    "uri_too_long": Code(414, "The address is too long.", "Send less in the query."),
    "unsupported_media_type": Code(
        415,
        "The body is not of a type that this address takes.",
        "Send the Content-Type that the answer's Accept header names.",
    ),
    "range_not_satisfiable": Code(416, "There is no byte in that range.", "Content-Range tells how many there are."),
    "headers_too_large": Code(431, "The headers are too many or too long.", "Send fewer."),
    "bad_package": Code(
        422,
        "The bytes are no package.",
        "Send a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip of files and links that stay inside it.",
    ),
    "digest_mismatch": Code(422, "The bytes that came have another digest than announced.", "Send them again."),
    "idempotency_key_reused": Code(422, "The key was used for another request.", "Use a new key for a new request."),
    "invalid": Code(422, "The request is well formed and wrong.", "`errors` names each place and the reason."),
    "settings_test_failed": Code(
        422,
        "What was given did not pass its test, and nothing was saved.",
        "`errors` names each part and what it answered.",
    ),
    "unknown_action": Code(422, "There is no such action.", "It is upgrade or revert."),
    "version_bad": Code(
        422, "The version was marked bad.", "Choose another one; or, as a person signed in, send allow_bad: true."
    ),
    "wrong_target": Code(422, "An instance cannot be a target of this request.", "Reload the list of instances."),
    # 429 and what is wrong here
    "too_many_attempts": Code(429, "There were too many attempts lately.", "Wait as long as Retry-After says."),
    "too_many_connections": Code(429, "The client's address has too many connections open.", "Close some of them."),
    "too_many_downloads": Code(429, "The caller loads as many logs at once as one caller may.", "Come back later."),
    "too_many_uploads": Code(429, "The caller uploads as much at once as one caller may.", "Come back later."),
    "internal_error": Code(
        500, "Something went wrong here; it is not the request.", "Tell an administrator the request's id."
    ),
    "busy": Code(503, "As much of this kind is under way as there is room for.", "Come back as Retry-After says."),
    "no_stream_slot": Code(503, "As many live streams are open as there are slots.", "Come back as Retry-After says."),
    "unavailable": Code(503, "The database does not answer at the moment.", "Come back as Retry-After says."),
}
