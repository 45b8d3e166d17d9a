"""The build servers that are set up. The one place that knows where their settings come from."""

from django.conf import settings

from access.problems import Problem, conflict
from access.secrets import Secret
from integrations import tls
from integrations.registry import configured, not_configured, require
from messages.rendering import render
from microservice.catalog import building
from microservice.models import MicroService

from . import builders, refs
from .checkout import Git
from .providers import Origin
from .sandbox import means
from .sandbox.means import Found
from .sandbox.watching import Limits

_Name = MicroService.Origin


def given(part: str) -> dict:
    """The run-time settings of gitlab or jenkins. Raises 409 not_configured where there are none."""
    return require(part)


def sandbox() -> Found:
    """What git builds are shut in with on this machine."""
    return means.find(settings.BUILD_SANDBOX, settings.BUILD_NETWORK)


def limits() -> Limits:
    """What each git build may use."""
    disk = settings.BUILD_DISK * 1024**2
    return Limits(
        seconds=settings.BUILD_TIMEOUT,
        memory=settings.BUILD_MEMORY * 1024**2,
        disk=disk,
        file_size=disk,
        processes=settings.BUILD_PROCESSES,
    )


def git() -> Git:
    set_up = configured("proxies") or {}
    proxies = {
        "http_proxy": set_up.get("http"),
        "https_proxy": set_up.get("https"),
        "no_proxy": ",".join(set_up.get("no_proxy") or []),
    }
    return Git(
        tuple(settings.GIT_ALLOWED_PROTOCOLS),
        sandbox(),
        limits(),
        tuple((name, value) for name, value in proxies.items() if value),
        tuple(settings.BUILD_TOOLS),
        tls.bundle(),
    )


def origin_of(name: str) -> Origin:
    """The build server called gitlab or jenkins, spoken to as the settings say: TLS, client certificate, proxies."""
    # Here and not above: python-gitlab and requests take 15 MB, and most processes never speak to a build server.
    from .gitlab import GitLab
    from .jenkins import Jenkins
    from .server_session import Line

    known = given(name)
    token, line = known["token"].reveal() if known["token"] else "", Line.of(known, configured("proxies"))
    if name == _Name.GITLAB:
        return GitLab(known["url"], token, line)
    return Jenkins(known["url"], known["user"], token, line)


def check(service: MicroService) -> None:
    """Raises a Problem where a build of this service could not even be asked for."""
    if not service.build_url:
        raise _unfit(
            service,
            "build_url",
            f"Give it one: PATCH …/services/{service.name}, or upload the package with PUT …/package.",
        )
    if service.build_orig != _Name.GIT:
        origin_of(service.build_orig)
        if message := building.refusal(service):
            raise _unfit(
                service,
                "build_url",
                "An administrator binds projects to teams under Settings.",
                f"The build_url of {service.name} {render(message)}.",
            )
        return
    if not service.build_command:
        raise _unfit(service, "build_command", "Give it one.")
    if reason := builders.refusal(builders.lately()):
        raise conflict("no_sandbox", reason, "docs/builds.md says what to install.")


def check_ref(service: MicroService, ref: str) -> None:
    """Raises a Problem for a branch or tag that the service does not build. For build servers, which know commits by
    themselves: where there are patterns, no commit is asked for by its hash."""
    if service.build_orig != _Name.GIT and not refs.may_be_built(ref, service.build_refs):
        raise conflict("ref_not_built", f"{refs.refusal(ref, service.build_refs)}.", "Choose another branch or tag.")


def _unfit(service: MicroService, lacks: str, hint: str, told: str = "") -> Problem:
    problem = conflict("not_configured", told or f"{service.name} has no {lacks}.", hint)
    problem.page = f"/services/{service.name}/settings/#id_{lacks}"
    return problem


def webhook_secret(name: str) -> str:
    """What a report of this origin is verified with."""
    secret = settings.BUILD_WEBHOOK_SECRET if name == _Name.GIT else given(name).get("webhook_secret")
    secret = secret.reveal() if isinstance(secret, Secret) else secret or settings.BUILD_WEBHOOK_SECRET
    if secret:
        return secret
    if name == _Name.GIT:
        raise conflict("not_configured", "No webhook secret is set up for git.", "Set BUILD_WEBHOOK_SECRET.")
    raise not_configured(name, "not_configured.webhook_secret")
