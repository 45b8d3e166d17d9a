"""Builds and build servers. Codes that end in `.said` quote the words of a server, a command or the system."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    # Requests for a build.
    "build_status.not_buildable": Text(
        _("{version} is {status:term}; only pending versions and failed builds can be built."),
        _("Create another version."),
    ),
    "build_status.ended": Text(
        _("{version} is already {status:term}."), _('Send {{"again": true}} to build it again under the same name.')
    ),
    "build_status.not_cancellable": Text(
        _("The build of {version} has ended: it is {status:term}."),
        _("Only a build that has not ended can be cancelled."),
    ),
    "build_status.duplicate": Text(
        _("The commit of {version} is built already."),
        _('Send {{"again": true, "even_built": true}} to build it anyway.'),
    ),
    "concurrent_update.build": Text(_("{version} was changed at the same moment."), _("Reload it and try again.")),
    "not_configured.build_url": Text(
        _("{service} has no build_url."),
        _("Set it with PATCH …/services/{service}, or upload the package with PUT …/package."),
    ),
    "not_configured.build_url_refused": Text(
        _("The build_url of {service} {reason}."),
        _("An administrator assigns projects to teams under Settings."),
    ),
    "not_configured.build_command": Text(_("{service} has no build_command."), _("Set one in the service's settings.")),
    "not_configured.git_webhook": Text(
        _("No webhook secret is configured for git."), _("Set the environment variable BUILD_WEBHOOK_SECRET.")
    ),
    "not_configured.recipe": Text(
        _("{service} has no recipe."), _("Describe the image on the page “Recipe” of the service.")
    ),
    "base_not_found": Text(_("The base image {base} cannot be used: {words}")),
    "image_step_failed": Text(_("{step} failed: {reason}")),
    "image_step_failed.said": Text(_("{step} failed: {words} ({reason})")),
    "engine_lost": Text(
        _("The Docker engine was lost during “{step}”: {words}"), _("Build it again; the version keeps its name.")
    ),
    "engine_disk_full": Text(
        _("The disk of the Docker engine is full, at “{step}”: {words}"),
        _("Free some space there, for example with docker system prune, and build it again."),
    ),
    "no_sandbox": Text(
        _("Builds from git need a sandbox, and no worker has one. Options: {missing}."),
        _("See docs/builds.md for the packages to install."),
    ),
    "no_sandbox.worker": Text(_("Builds from git need a sandbox, and this worker has none. Options: {missing}.")),
    "sandbox_missing.bubblewrap": Text(_("Install the package bubblewrap ({words})")),
    "sandbox_missing.namespaces": Text(_("Allow user namespaces with sysctl user.max_user_namespaces ({words})")),
    "sandbox_missing.network": Text(
        _("Builds have no network: install the packages passt and iproute2 to give them one ({words})")
    ),
    "sandbox_missing.network_namespaces": Text(
        _("Builds have no network: this machine has no user namespaces (sysctl user.max_user_namespaces)")
    ),
    "ref_not_built": Text(
        _("{ref} is not built: the service builds only {patterns}."), _("Choose another branch or tag.")
    ),
    # What is wrong with the source.
    "ref_missing": Text(_("The repository has no branch or tag {ref}.")),
    "ref_invalid": Text(_("{ref} is not a valid branch, tag or commit.")),
    "commit_not_built": Text(_("No branch or tag that may be built contains the commit {commit}.")),
    "build_url_invalid.protocol": Text(_("The build_url must use one of these protocols: {protocols}.")),
    "build_url_invalid.gitlab": Text(_("The service's build_url does not name a GitLab project: {url}")),
    "build_url_invalid.jenkins": Text(_("The service's build_url does not name a Jenkins job (…/job/name): {url}")),
    "build_secrets_unreadable": Text(_("The service's build secrets cannot be decrypted: {words}")),
    "repository_unreachable": Text(_("The repository cannot be read.")),
    "repository_unreachable.said": Text(_("The repository cannot be read: {words}")),
    "repository_unreachable.timeout": Text(_("The repository does not answer.")),
    # Builds on a worker.
    "build_step.probe": Text(_("The sandbox test")),
    "build_step.list_refs": Text(_("Listing the branches and tags")),
    "build_step.fetch": Text(_("git fetch")),
    "build_step.complete": Text(_("Fetching submodules and Git LFS files")),
    "build_step.command": Text(_("The build command")),
    "build_step.context": Text(_("Packing what the recipe copies")),
    "build_step.pack": Text(_("Packing the result")),
    "build_failed": Text(_("{step} failed with exit status {status} and printed nothing.")),
    "build_failed.said": Text(_("{step} failed with exit status {status}: {words}")),
    "build_failed.processes": Text(
        _(
            "{step} failed with exit status {status}: {words} "
            "(a build may have at most {max} processes and threads: BUILD_PROCESSES)"
        )
    ),
    "build_limit.disk": Text(_("{step} used more than {mib} MiB of disk (BUILD_DISK).")),
    "build_limit.disk_full": Text(_("{step} was stopped because the worker's disk is almost full.")),
    "build_limit.memory": Text(_("{step} used more than {mib} MiB of memory (BUILD_MEMORY).")),
    "build_limit.output": Text(_("{step} printed more than {max} bytes.")),
    "build_limit.processes": Text(_("{step} used more than {max} processes and threads (BUILD_PROCESSES).")),
    "build_limit.unavailable": Text(_("The limits of the build cannot be set: {words}")),
    "build_timeout.step": Text(_("{step} took longer than {seconds} s.")),
    "build_abandoned": Text(_("{count} workers stopped while they ran this build.")),
    "build_cancelled": Text(_("Cancelled by {who}.")),
    "build_cancelled.reason": Text(_("Cancelled by {who}: {reason}")),
    "build_cancelled.runs_on": Text(_("Cancelled by {who}. The build server has not ended it yet: {words}")),
    "build_disk_full": Text(_("No space left on the disk of the worker or of the package store.")),
    "build_worker_error": Text(_("Internal worker error ({error}): {words}")),
    "build_duplicate": Text(_("The commit {commit} is already built as {version} (version {id}).")),
    "build_duplicate.image": Text(
        _("The same recipe, commit and base image are already built as {version} (version {id}).")
    ),
    "build_timeout.silent": Text(_("{step} printed nothing for {seconds} s (BUILD_SILENCE).")),
    "image_step.base": Text(_("The base {base} is {image}")),
    "image_step.build": Text(_("Building {image}")),
    "image_step.push": Text(_("Pushing {image}")),
    # Builds at a build server.
    "build_timeout": Text(_("The build had not ended {seconds} s after its start.")),
    "build_timeout.said": Text(_("The build had not ended {seconds} s after its start: {words}")),
    "build_unconfirmed": Text(_("The build server has not confirmed that it started the build.")),
    "build_unconfirmed.said": Text(_("The build server has not confirmed that it started the build: {words}")),
    "gitlab_pipeline.failed": Text(_("The pipeline failed.")),
    "gitlab_pipeline.failed.said": Text(_("The pipeline failed: {words}")),
    "gitlab_pipeline.cancelled": Text(_("The pipeline was cancelled.")),
    "gitlab_pipeline.cancelled.said": Text(_("The pipeline was cancelled: {words}")),
    "gitlab_pipeline.skipped": Text(_("The pipeline was skipped.")),
    "gitlab_pipeline.skipped.said": Text(_("The pipeline was skipped: {words}")),
    "gitlab_refused.token": Text(_("GitLab rejected the token.")),
    "gitlab_refused.token.said": Text(_("GitLab rejected the token: {words}")),
    "gitlab_refused.status": Text(_("GitLab refused the request ({status}).")),
    "gitlab_refused.status.said": Text(_("GitLab refused the request ({status}): {words}")),
    "gitlab_error": Text(_("GitLab answered {status}.")),
    "gitlab_error.said": Text(_("GitLab answered {status}: {words}")),
    "gitlab_unreachable.timeout": Text(_("GitLab cannot be reached: timeout.")),
    "gitlab_unreachable.error": Text(_("GitLab does not answer: {error}.")),
    "gitlab_invalid": Text(_("GitLab's answer is invalid.")),
    "gitlab_invalid.said": Text(_("GitLab's answer is invalid: {words}")),
    "gitlab_invalid.commit": Text(_("GitLab's answer is invalid: it has no commit.")),
    "gitlab_invalid.pipeline": Text(_("GitLab's answer is invalid: it has no pipeline id.")),
    "gitlab_invalid.status": Text(_("GitLab reported an undocumented pipeline status: {status}")),
    "jenkins_build.unstable": Text(_("The build is unstable: tests failed.")),
    "jenkins_build.failed": Text(_("The build failed.")),
    "jenkins_build.not_built": Text(_("The build did not run.")),
    "jenkins_build.cancelled": Text(_("The build was cancelled.")),
    "jenkins_job.not_buildable": Text(_("Jenkins refused the request ({status}): the job is not buildable.")),
    "jenkins_job.not_buildable.said": Text(
        _("Jenkins refused the request ({status}): the job is not buildable. Its answer: {words}")
    ),
    "jenkins_job.not_parameterized": Text(_("Jenkins refused the request ({status}): the job is not parameterized.")),
    "jenkins_job.not_parameterized.said": Text(
        _("Jenkins refused the request ({status}): the job is not parameterized. Its answer: {words}")
    ),
    "jenkins_queue.cancelled": Text(_("The build was cancelled while it waited in the queue.")),
    "jenkins_queue.waiting": Text(_("Waiting in the queue.")),
    "jenkins_queue.waiting.said": Text(_("Waiting in the queue: {words}")),
    "jenkins_refused": Text(_("Jenkins refused the request ({status}).")),
    "jenkins_refused.said": Text(_("Jenkins refused the request ({status}): {words}")),
    "jenkins_error": Text(_("Jenkins answered {status}.")),
    "jenkins_error.said": Text(_("Jenkins answered {status}: {words}")),
    "jenkins_unreachable": Text(_("Jenkins does not answer: {words}")),
    "jenkins_invalid": Text(_("Jenkins' answer is invalid.")),
    "jenkins_invalid.json": Text(_("Jenkins' answer is not JSON.")),
    "jenkins_invalid.queue_item": Text(_("Jenkins' answer is invalid: it has no queue item.")),
    "jenkins_invalid.reference": Text(_("The build's reference is not one of a Jenkins build.")),
    "jenkins_invalid.result": Text(_("Jenkins reported an undocumented result: {result}")),
    # Reports of build servers (webhooks).
    "too_large.report": Text(_("A report must not exceed {kib} KiB."), _("Send only the event itself.")),
    "not_json.report": Text(_("The body is not JSON, or is nested too deeply.")),
    "unauthorized.gitlab_token": Text(
        _("X-Gitlab-Token does not match the configured secret."), _("Compare the secrets on both sides.")
    ),
    "unauthorized.webhook_time": Text(
        _("webhook-id is missing, or webhook-timestamp is not within {seconds} s of the current time."),
        _("Check the sender's clock."),
    ),
    "unauthorized.webhook_signature": Text(
        _("webhook-signature does not match the body."), _("Compare the secrets on both sides.")
    ),
    "must_be_object": Text(_("must be an object")),
    "must_be_list": Text(_("must be a list")),
    "must_be_text": Text(_("must be a text of at most {max} characters")),
    "must_be_version_id": Text(_("must be the id of a version")),
}
