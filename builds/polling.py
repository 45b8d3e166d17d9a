"""Looks at builds that were started at a build server. No look calls a build failed: only the server's own result does.

What refuses or makes no sense (401, 403, 404, 410, a queue item that was forgotten, a page that is no JSON) may pass: a
token is exchanged, a proxy asks for a sign-in, an item becomes a build. It is looked at again, and under any other name
that the build may have there.
"""

from .providers import Job, Origin, Refused, Seen, Silent

NOT_KNOWN = "It is not known whether the build server took the build"


def look(origin: Origin, job: Job, reference: str) -> tuple[str, Seen]:
    """The build's reference, and how far it is. Raises Silent, with what the server said, where neither is known."""
    if not reference:
        return _find(origin, job, "", NOT_KNOWN)
    try:
        return reference, origin.look(reference)
    except Refused as error:
        return _find(origin, job, reference, str(error))
    except Silent as error:
        if not error.answered:
            raise
        return _find(origin, job, reference, str(error))


def _find(origin: Origin, job: Job, reference: str, reason: str) -> tuple[str, Seen]:
    """Under another reference than this one, for `reason`."""
    try:
        found = origin.find(job)
        if found and found != reference:
            return found, origin.look(found)
    except (Refused, Silent) as error:
        if not reference:
            raise Silent(str(error)) from error
    raise Silent(reason)
