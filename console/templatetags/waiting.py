"""What waits: the numbers in the head of every page, and the reasons as pages say them."""

from django import template
from django.template import Context

from microservice.deployments.wait_reasons import Kind, Reason
from microservice.models import Approval

from ..queries import waiting

register = template.Library()


@register.simple_tag(takes_context=True)
def waiting_counts(context: Context) -> waiting.Counts:
    """Return how many deployments wait, for the reader and at all. One query where nothing waits."""
    caller = getattr(context.get("request"), "page_caller", None)
    return waiting.counts(caller) if caller else waiting.Counts()


@register.filter
def is_approval(reason: Reason) -> bool:
    return reason.kind == Kind.APPROVAL


@register.filter
def is_freeze(reason: Reason) -> bool:
    return reason.kind == Kind.FREEZE


@register.filter
def is_yes(answer: Approval) -> bool:
    return answer.verdict == Approval.Verdict.YES


@register.filter
def is_override(answer: Approval) -> bool:
    return answer.verdict == Approval.Verdict.OVERRIDE
