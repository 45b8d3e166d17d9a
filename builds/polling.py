"""Poll builds that were started at a build server. A poll never fails a build: only the server's own result does.

Refusals and invalid answers (401, 403, 404, 410, a queue item that is gone, a page instead of JSON) may be temporary: a
token is rotated, a proxy asks for a sign-in, an item becomes a build. The build is polled again, also under any other
name that it may have there.
"""

from messages import Message

from .providers import BuildProvider, BuildRefused, BuildState, Job, ProviderUnreachable

UNCONFIRMED = "build_unconfirmed"  # the server did not confirm the start


def look(provider: BuildProvider, job: Job, reference: str) -> tuple[str, BuildState]:
    """Return the build's reference and its progress. Raise ProviderUnreachable with the server's words if unknown."""
    if not reference:
        return _find(provider, job, "", Message(UNCONFIRMED))
    try:
        return reference, provider.look(reference)
    except BuildRefused as error:
        return _find(provider, job, reference, error.message)
    except ProviderUnreachable as error:
        if not error.answered:
            raise
        return _find(provider, job, reference, error.message)


def _find(provider: BuildProvider, job: Job, reference: str, reason: Message) -> tuple[str, BuildState]:
    """Look under another reference than this one. Raise ProviderUnreachable with `reason` if there is none."""
    try:
        other = provider.find(job)
        if other and other != reference:
            return other, provider.look(other)
    except (BuildRefused, ProviderUnreachable) as error:
        if not reference:
            raise ProviderUnreachable(error.message) from error
    raise ProviderUnreachable(reason)
