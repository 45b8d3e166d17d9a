"""The build servers that are set up. The one place that knows where their settings come from."""
import hashlib
import tempfile
from pathlib import Path

from django.conf import settings

from access.problems import Problem, conflict
from access.secrets import Secret
from microservice.models import MicroService
from outside.parts import require

from .checkout import Git, Limits
from .gitlab import GitLab
from .jenkins import Jenkins
from .origin import Origin

_Name = MicroService.Origin


def given(part: str) -> dict:
    """The run-time settings of gitlab or jenkins. Raises 409 not_configured where there are none."""
    return require(part)


def git() -> Git:
    limits = Limits(seconds=settings.BUILD_TIMEOUT, memory=settings.BUILD_MEMORY * 1024**2)
    return Git(tuple(settings.BUILD_PROTOCOLS), limits)


def origin_of(name: str) -> Origin:
    """The build server called gitlab or jenkins."""
    known = given(name)
    token, verify = known["token"].reveal(), _verify(known)
    if name == _Name.GITLAB:
        return GitLab(known["url"], token, verify)
    return Jenkins(known["url"], known["user"], token, verify)


def _verify(known: dict) -> bool | str:
    """What a server's certificate is verified with: nothing, what the system trusts, or a file with the given CA."""
    if not known["verify"]:
        return False
    if not known["ca"]:
        return True
    path = Path(tempfile.gettempdir()) / f"deployer-ca-{hashlib.sha256(known['ca'].encode()).hexdigest()}.pem"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(known["ca"])
    Path(file.name).replace(path)  # whole or not there, whoever else writes the same
    return str(path)


def check(service: MicroService) -> None:
    """Raises a Problem where a build of this service could not even be asked for."""
    if not service.build_url:
        raise conflict("not_configured", f"{service.name} has no build_url.", "Give it one: PATCH …/services/"
                       f"{service.name}, or upload the package with PUT …/package.")
    if service.build_orig != _Name.GIT:
        origin_of(service.build_orig)
    elif not service.build_command:
        raise conflict("not_configured", f"{service.name} has no build_command.", "Give it one.")


def webhook_secret(name: str) -> str:
    """What a report of this origin is verified with."""
    secret = settings.BUILD_WEBHOOK_SECRET if name == _Name.GIT else given(name).get("webhook_secret")
    secret = secret.reveal() if isinstance(secret, Secret) else secret or settings.BUILD_WEBHOOK_SECRET
    if not secret:
        raise Problem(409, "not_configured", f"No webhook secret is set up for {name}.", "Set it up in the settings.")
    return secret
