"""The jobs of pipelines that publish and deploy, as docs/ci has them, for one installation and service."""

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from asset.labels import Selector
from integrations import registry
from integrations.images import reference
from microservice.models import MicroServiceInstance

FOLDER = Path(settings.BASE_DIR) / "docs" / "ci"
FILES = {"gitlab": "gitlab-ci.yml", "github": "github-actions.yml", "jenkins": "Jenkinsfile"}
IMAGE_FILES = {"gitlab": "gitlab-ci-image.yml", "github": "github-actions-image.yml", "jenkins": "Jenkinsfile-image"}
NAMES = {"gitlab": "GitLab CI", "github": "GitHub Actions", "jenkins": "Jenkins"}
PATHS = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/deploy.yml", "jenkins": "Jenkinsfile"}
KINDS = {"package": _("A package"), "image": _("An image")}  # what a job publishes
SECRETS = {  # where each keeps the token
    "gitlab": _("Store it as the masked CI/CD variable DEPLOYCTL_TOKEN of the project or its group."),
    "github": _("Store it as the secret DEPLOYCTL_TOKEN of the repository or its organization."),
    "jenkins": _("Store it as the credential deployctl-token, of the kind Secret text."),
}
SIGN_INS = {  # where each keeps who may push images
    "gitlab": _("Store who may push images as the masked CI/CD variables REGISTRY_USER and REGISTRY_PASSWORD."),
    "github": _("Store who may push images as the secrets REGISTRY_USER and REGISTRY_PASSWORD."),
    "jenkins": _("Store who may push images as the credential registry, of the kind Username with password."),
}
LIMITS = {  # how a job is limited to one branch
    "gitlab": """rules: [{if: '$CI_COMMIT_BRANCH == "main"'}]""",
    "github": "on: {push: {branches: [main]}}",
    "jenkins": "when { branch 'main' }",
}
# What stands in the files for what is filled in.
URL, SERVICE, IMAGE, VERSION = "https://deployer.example.com", " shop ", "registry.example.com/shop:", ' "$version" '
# What none of the systems reads as anything but text, within quotation marks of the shell.
_HARMLESS = re.compile(r"[\w ./@+,=-]*\Z")


@dataclass(frozen=True, slots=True)
class Pipeline:
    system: str
    name: str
    path: str  # where the file is to stand in a repository
    secrets: list[Any]  # the sentences that say where its token and passwords are kept
    limit: str  # what limits it to the branch main
    text: str


def pipeline(system: str, url: str, service: str, image: str = "", install: str = "") -> Pipeline:
    """Return the job for a system of FILES. `service`: its name, of which every character is harmless in a shell.

    `image`: what `image_name` returned, for a job that publishes an image; "" for one that publishes a package.
    `install`: what `install_options` returned, for a job that also installs; "" for one that does not.
    """
    text = _file((IMAGE_FILES if image else FILES)[system]).replace(URL, url.rstrip("/"))
    text = text.replace(SERVICE, f" {service} ")
    text = text.replace(f" deploy {service}{VERSION}", f" deploy {service}{VERSION}{install}")
    text = text.replace(IMAGE, f"{image}:")
    secrets = [SECRETS[system], *([SIGN_INS[system]] if image else [])]
    return Pipeline(system, NAMES[system], PATHS[system], secrets, LIMITS[system], text)


def install_options(selector: Selector, group: str) -> str | None:
    """Return the options with which a job installs on hosts with labels, or of a group, with a blank after them.

    "" where neither is given; None where their names cannot stand in a job. Pure.
    """
    named = [f"--label={shlex.quote(name if text is None else f'{name}={text}')}" for name, text in selector.items()]
    words = [f"--group={shlex.quote(group)}"] if group else named
    if not all(_HARMLESS.match(one) for one in (group, *selector, *(text or "" for text in selector.values()))):
        return None
    return f"--install {' '.join(words)} " if words else ""


def runs_anywhere(service: str) -> bool:
    """Return whether a service has an instance: only then is there anything to deploy to. One query."""
    return MicroServiceInstance.objects.filter(microservice__name=service).exists()


def image_name(service: str) -> str:
    """Return what an image of the service is called at the registry of the settings. One query."""
    fields = registry.configured("registry")
    if not fields or not fields["url"]:
        return f"registry.example.com/{reference.repository('', service)}"
    return f"{reference.host_of(fields['url'])}/{reference.repository(fields['project'], service)}"


@lru_cache(maxsize=len(FILES) + len(IMAGE_FILES))
def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
