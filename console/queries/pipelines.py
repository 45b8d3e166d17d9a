"""The jobs of pipelines that publish and deploy, as docs/ci has them, for one installation and service."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from microservice.models import MicroServiceInstance

FOLDER = Path(settings.BASE_DIR) / "docs" / "ci"
FILES = {"gitlab": "gitlab-ci.yml", "github": "github-actions.yml", "jenkins": "Jenkinsfile"}
NAMES = {"gitlab": "GitLab CI", "github": "GitHub Actions", "jenkins": "Jenkins"}
PATHS = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/deploy.yml", "jenkins": "Jenkinsfile"}
SECRETS = {  # where each keeps the token
    "gitlab": _("Store it as the masked CI/CD variable DEPLOYCTL_TOKEN of the project or its group."),
    "github": _("Store it as the secret DEPLOYCTL_TOKEN of the repository or its organization."),
    "jenkins": _("Store it as the credential deployctl-token, of the kind Secret text."),
}
LIMITS = {  # how a job is limited to one branch
    "gitlab": """rules: [{if: '$CI_COMMIT_BRANCH == "main"'}]""",
    "github": "on: {push: {branches: [main]}}",
    "jenkins": "when { branch 'main' }",
}
URL, SERVICE = "https://deployer.example.com", " shop "  # what stands in the files for what is filled in


@dataclass(frozen=True, slots=True)
class Pipeline:
    system: str
    name: str
    path: str  # where the file is to stand in a repository
    secret: Any  # the sentence that says where its token is kept
    limit: str  # what limits it to the branch main
    text: str


def pipeline(system: str, url: str, service: str) -> Pipeline:
    """Return the job for a system of FILES. `service`: its name, of which every character is harmless in a shell."""
    text = _file(FILES[system]).replace(URL, url.rstrip("/")).replace(SERVICE, f" {service} ")
    return Pipeline(system, NAMES[system], PATHS[system], SECRETS[system], LIMITS[system], text)


def runs_anywhere(service: str) -> bool:
    """Return whether a service has an instance: only then is there anything to deploy to. One query."""
    return MicroServiceInstance.objects.filter(microservice__name=service).exists()


@lru_cache(maxsize=len(FILES))
def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
