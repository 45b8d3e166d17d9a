"""What a service may be built from: see `integrations.projects`. `builds` checks it again before each build."""

import re

from integrations import projects, registry
from messages import Message
from messages.rendering import render

from ..models import MicroService

MOST_REFS, LONGEST_REF = 50, 250
# What git keeps out of names of branches and tags: man git-check-ref-format.
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|\A[/.-]|[/.]\Z|\A@?\Z")


def errors(service: MicroService) -> list[dict]:
    """What is wrong with the service's build_url, where its build server is configured: [{"pointer", "reason"}]."""
    message = refusal(service)
    return [{"pointer": "/build_url", "reason": render(message)}] if message else []


def refusal(service: MicroService) -> Message | None:
    """Why the configured server may not build its build_url; None where it may, or where there is none. One query."""
    if service.build_orig == MicroService.Origin.GIT or not service.build_url:
        return None
    known = registry.configured(service.build_orig)
    if known is None:
        return None
    team = service.team.name if service.team else ""
    return projects.refusal(service.build_orig, known["url"], known["projects"], service.build_url, team)


def is_ref(text: str) -> bool:
    """Whether git lets a branch or a tag have this name: feature/#42, fix(cart), 功能/支付."""
    return len(text) <= LONGEST_REF and text.isprintable() and not _NEVER.search(text)


def check_refs(refs: object) -> None:
    """Raises ValueError with what is wrong with patterns of branches and tags."""
    if not isinstance(refs, list) or len(refs) > MOST_REFS:
        raise ValueError(f"must be a list of at most {MOST_REFS} patterns")
    for one in refs:
        if not isinstance(one, str) or not is_ref(re.sub(r"[*?]", "x", one)):
            raise ValueError(f"must hold patterns of branches and tags, such as release/*, not {str(one)[:40]!r}")
