"""The configured build servers. The one module that knows where their settings come from."""

from typing import Any

from django.conf import settings

from access.problems import Problem, refused
from access.secrets import Secret
from integrations import tls
from integrations.registry import configured, not_configured, require
from microservice.catalog import building, dockerfile
from microservice.catalog.ref_patterns import may_be_meant
from microservice.models import MicroService

from . import builders, engines
from .checkout import Git
from .providers import BuildProvider
from .sandbox import means
from .sandbox.means import SandboxSupport
from .sandbox.watching import Limits

_Name = MicroService.Origin


def server_settings(part: str) -> dict[str, Any]:
    """Return the settings of gitlab or jenkins. Raise 409 not_configured if there are none."""
    return require(part)


def sandbox() -> SandboxSupport:
    """Return the sandbox of this machine for git builds."""
    return means.find(settings.BUILD_SANDBOX, settings.BUILD_NETWORK)


def limits() -> Limits:
    """Return the limits of each git build."""
    disk = settings.BUILD_DISK * 1024**2
    return Limits(
        seconds=settings.BUILD_TIMEOUT,
        memory=settings.BUILD_MEMORY * 1024**2,
        disk=disk,
        file_size=disk,
        processes=settings.BUILD_PROCESSES,
    )


def git() -> Git:
    proxy = configured("proxies") or {}
    proxies = {
        "http_proxy": proxy.get("http"),
        "https_proxy": proxy.get("https"),
        "no_proxy": ",".join(proxy.get("no_proxy") or []),
    }
    return Git(
        tuple(settings.GIT_ALLOWED_PROTOCOLS),
        sandbox(),
        limits(),
        tuple((name, value) for name, value in proxies.items() if value),
        tuple(settings.BUILD_TOOLS),
        tls.bundle(),
    )


def provider_of(name: str) -> BuildProvider:
    """Return the build server gitlab or jenkins, with the TLS, client certificate and proxies of the settings."""
    # Imported here: python-gitlab and requests take 15 MB, and most processes never use a build server.
    from .gitlab import GitLab
    from .jenkins import Jenkins
    from .server_session import ServerSession

    fields = server_settings(name)
    token = fields["token"].reveal() if fields["token"] else ""
    session = ServerSession.of(fields, configured("proxies"))
    if name == _Name.GITLAB:
        return GitLab(fields["url"], token, session)
    return Jenkins(fields["url"], fields["user"], token, session)


def check(service: MicroService) -> None:
    """Raise a Problem if a build of this service cannot be requested."""
    if service.builds_images:
        engines.check(service)
        if not dockerfile.repository_paths(service.recipe):
            return
    if not service.build_url:
        raise _misconfigured(service, "build_url", "not_configured.build_url")
    if not service.is_built_by_workers:
        provider_of(service.build_orig)
        if reason := building.refusal(service):
            raise _misconfigured(service, "build_url", "not_configured.build_url_refused", reason=reason)
        return
    if service.build_orig == _Name.GIT and not service.build_command:
        raise _misconfigured(service, "build_command", "not_configured.build_command")
    if message := builders.refusal(builders.recent()):
        raise refused(message.code, **message.params)


def check_ref(service: MicroService, ref: str) -> None:
    """Raise a Problem for a branch or tag that the service does not build. For build servers only: with patterns, they
    are never asked for a commit by its hash."""
    if not service.is_built_by_workers and not may_be_meant(ref, service.build_refs):
        raise refused("ref_not_built", ref=ref, patterns=list(service.build_refs))


def _misconfigured(service: MicroService, field: str, code: str, **params: Any) -> Problem:
    return refused(code, page=f"/services/{service.name}/settings/#id_{field}", service=service.name, **params)


def webhook_secret(name: str) -> str:
    """Return the secret that verifies the reports of this build server."""
    secret = settings.BUILD_WEBHOOK_SECRET if name == _Name.GIT else server_settings(name).get("webhook_secret")
    secret = secret.reveal() if isinstance(secret, Secret) else secret or settings.BUILD_WEBHOOK_SECRET
    if secret:
        return secret
    if name == _Name.GIT:
        raise refused("not_configured.git_webhook")
    raise not_configured(name, "not_configured.webhook_secret")
