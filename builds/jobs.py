"""The job that a provider gets: the version, the service's fields, and its secrets."""

from dataclasses import replace

from django.conf import settings

from access.secrets import Undecryptable
from microservice.models import MicroService

from .credentials import NO_SECRET, Credential
from .models import Build
from .providers import BuildRefused, Job


def job_of(build: Build) -> Job:
    """Return the job of a build. Raise BuildRefused if the service's secrets cannot be decrypted."""
    version, service = build.version, build.version.microservice
    earlier = Build.objects.filter(version=version).exclude(pk=build.pk).exclude(reference="")
    job = Job(
        build.pk,
        service.pk,
        service.name,
        version.pk,
        version.version,
        version.ref,
        service.build_url,
        service.build_command,
        build.requested_by,
        tuple(service.build_refs),
        depth=service.build_depth,
        others=frozenset(earlier.values_list("reference", flat=True)),
    )
    if not build.is_by_workers:
        return job
    try:
        fields = service.build_credential.open()
        credential = Credential(service.build_username, fields.get("password", NO_SECRET), fields.get("key", NO_SECRET))
        return replace(job, secrets=service.build_secrets.open(), credential=credential, own_keys=own_keys(service))
    except Undecryptable as error:
        raise BuildRefused("build_secrets_unreadable", words=str(error)) from error


def own_keys(service: MicroService) -> bool:
    """Return whether git may use the ssh keys of the worker's user for this service.

    They open repositories of several teams, and an owner chooses the URL: services without a team belong to the
    administrators.
    """
    allowed = {"all": True, "none": False, "unowned": service.team_id is None}[settings.BUILD_SSH_KEYS]
    return allowed and "key" not in service.build_credential
