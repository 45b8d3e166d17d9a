"""Steps of a build: a version without a package, a request, a poll, a look at the row."""

from datetime import timedelta

from django.utils import timezone

from access.callers import Caller
from builds import build_requests, execution
from builds.models import Build
from microservice.models import MicroService, MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories

ANN = Caller(name="ann", scopes=frozenset({"publish"}))


def pending(service, name="1.0", **more) -> MicroServiceVersion:
    return MicroServiceVersion.objects.create(microservice=service, version=name, **more)


def ask(caller, version):
    return caller.post(f"/services/shop/versions/{version.pk}/build")


def state(version) -> BuildStatus:
    version.refresh_from_db()
    return BuildStatus(version.status)


def requested(origin, server, name="1.0") -> Build:
    """Return a new build of shop at GitLab or Jenkins, not started yet."""
    path = "team/shop.git" if origin == "gitlab" else "job/shop/"
    service = MicroService.objects.filter(name="shop").first() or factories.service(
        "shop", build_orig=origin, build_url=f"{server.url}/{path}"
    )
    return build_requests.start(ANN, pending(service, name, ref="main"))


def moved(build) -> Build:
    """Return the build after one more poll by a worker."""
    Build.objects.filter(pk=build.pk).update(due=timezone.now() - timedelta(seconds=1), lease=None)
    assert execution.work() == 1
    return Build.objects.select_related("version").get(pk=build.pk)
