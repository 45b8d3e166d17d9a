"""What builds leave at an engine: of each service its newest image, whose layers the next build uses."""

import json
import logging
import time
from urllib.parse import urlencode

from django.conf import settings

from integrations.docker import images
from integrations.docker.engine import Engine
from integrations.docker.errors import EngineFailed, GivenUp
from integrations.images.reference import Reference

from .providers import Job

SERVICE = "deployer.service"
KEPT = "24h"  # layers of failed builds: the next attempt uses them
log = logging.getLogger(__name__)


def labels(job: Job) -> dict[str, str]:
    """Return the labels of an image and of its layers. Any more, such as the build's number, would be a step more in
    each build: the digest tells images apart."""
    return {SERVICE: job.service_name}


def tidy(engine: Engine, service: str, newest: Reference) -> None:
    """Remove the service's older images, and old layers that nothing uses. What fails is tried after the next build."""
    try:
        query = urlencode({"filters": json.dumps({"label": [f"{SERVICE}={service}"]})})
        # What is younger may be another build's, which pushes it now.
        oldest = time.time() - settings.BUILD_TIMEOUT
        found = engine.get("GET", f"/images/json?{query}")
        with engine.understood():
            names = [name for each in found if each["Created"] < oldest for name in each.get("RepoTags") or ()]
        for name in names:
            if name not in (newest.tagged, "<none>:<none>"):
                images.remove(engine, str(name))
        filters = {"dangling": ["true"], "label": [SERVICE], "until": [KEPT]}
        engine.ask("POST", f"/images/prune?{urlencode({'filters': json.dumps(filters)})}", seconds=60.0)
    except (EngineFailed, GivenUp) as error:
        log.info("the engine keeps older images of %s: %s", service, error)
