"""Rules for what a service may be built from (see `integrations.projects`). `builds` checks it again before each build.

The patterns of branches and tags follow git's own rules for names.
"""

import re

from access.problems import FieldError
from integrations import projects, registry
from messages import Message

from ..models import MicroService

MAX_REFS, MAX_REF_LENGTH = 50, 250
# What git does not allow in the names of branches and tags: man git-check-ref-format.
_INVALID = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|\A[/.-]|[/.]\Z|\A@?\Z")


def errors(service: MicroService) -> list[FieldError]:
    """Return what is wrong with the service's build_url, where its build server is configured."""
    reason = refusal(service)
    return [FieldError("/build_url", reason)] if reason else []


def refusal(service: MicroService) -> Message | None:
    """Return why the configured server may not build its build_url; None where it may, or none is. One query."""
    if service.is_built_by_workers or not service.build_url:
        return None
    known = registry.configured(service.build_orig)
    if known is None:
        return None
    team = service.team.name if service.team else ""
    return projects.refusal(service.build_orig, known["url"], known["projects"], service.build_url, team)


def is_ref(text: str) -> bool:
    """Return whether git allows this name for a branch or a tag: feature/#42, fix(cart), 功能/支付."""
    return len(text) <= MAX_REF_LENGTH and text.isprintable() and not _INVALID.search(text)


def refs_errors(refs: object, pointer: str) -> list[FieldError]:
    """Return what is wrong with patterns of branches and tags."""
    if not isinstance(refs, list) or len(refs) > MAX_REFS:
        return [FieldError(pointer, "refs_list", max=MAX_REFS)]
    for pattern in refs:
        if not isinstance(pattern, str) or not is_ref(re.sub(r"[*?]", "x", pattern)):
            return [FieldError(pointer, "refs_pattern", value=repr(str(pattern)[:40]))]
    return []
