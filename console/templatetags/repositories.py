"""Links to a service's repository, and to what of it is a version."""

from django import template

from microservice.catalog import links
from microservice.models import MicroService, MicroServiceVersion

register = template.Library()
register.filter("repository_link", links.repository)


@register.simple_tag
def commit_link(service: MicroService, commit: str) -> str:
    return links.commit(service, commit)


@register.simple_tag
def branch_link(service: MicroService, ref: str) -> str:
    return links.branch(service, ref)


@register.filter
def commit_in_name(version: MicroServiceVersion) -> str:
    return links.commit_of(version.version)
