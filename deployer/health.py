"""What probes ask: is the process up, can it do its work, and how much work is there. No sign-in, so no names."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from ipaddress import ip_address

from django.db import connection
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

from access.authentication import caller_of
from access.client_ip import client_address, is_proxy
from microservice.models import Deployment, Heartbeat, Operation
from microservice.status import DEPLOYMENT_OPEN, OPERATION_OPEN, OperationStatus

from . import broker_check

SEEN_LATELY = timedelta(seconds=60)
BROKER_WAIT = 2.0  # seconds
log = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all. Asks nobody."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and a worker was seen lately; else 503. Nothing here waits longer than seconds.

    A broker that is away is told, and takes no web process out of a load balancer: rows are the queue, each request is
    taken and carried out all the same, and without its web processes a system whose broker is away would be down. What
    is missing is named to this machine and to whoever shows a token or a session: the world learns only whether it is
    ready."""
    parts = {"database": _ask(_database), "broker": broker_check.look(BROKER_WAIT)}
    parts["worker"] = _ask(_worker) if parts["database"] == "ok" else "not asked: the database does not answer"
    ready = parts["database"] == parts["worker"] == "ok"
    told = {"degraded": ready and parts["broker"] != "ok", **parts} if _is_insider(request) else {}
    return JsonResponse({"ready": ready, **told}, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text form, counted from the rows at this moment: the same figures from every process. 503 where the
    database does not answer: figures that are not known are no zeros."""
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(Figures())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except Exception as error:  # noqa: BLE001 - a probe is told, whatever it is
        log.warning("the figures could not be counted: %s", type(error).__name__)
        return HttpResponse("# the database does not answer\n", content_type="text/plain", status=503)


class Figures:
    """A collector for one answer. Four queries, each over what is open or over a handful of rows."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        now = timezone.now()
        deployments = GaugeMetricFamily("deployer_deployments", "Deployments by status", labels=["status"])
        for status, number in Deployment.objects.order_by().values_list("status").annotate(Count("pk")):
            deployments.add_metric([status], number)
        yield deployments

        operations = GaugeMetricFamily(
            "deployer_operations", "Operations of deployments that have not ended, by status", labels=["status"]
        )
        going_on = Operation.objects.filter(deployment__status__in=DEPLOYMENT_OPEN)
        counted = dict(going_on.order_by().values_list("status").annotate(Count("pk")))
        for word in OPERATION_OPEN | set(counted):
            operations.add_metric([word], counted.get(word, 0))
        yield operations

        waiting = going_on.filter(status=OperationStatus.QUEUED).aggregate(oldest=Min("deployment__created"))["oldest"]
        yield GaugeMetricFamily(
            "deployer_queue_age_seconds",
            "How long ago the oldest request was made of which an operation is due and unclaimed",
            value=(now - waiting).total_seconds() if waiting else 0,
        )
        workers = list(Heartbeat.objects.filter(seen__gte=now - SEEN_LATELY).values_list("slots", "without_broker"))
        yield GaugeMetricFamily("deployer_workers", "Worker processes seen in the last minute", value=len(workers))
        yield GaugeMetricFamily(
            "deployer_worker_slots", "Operations they can carry out at once", value=sum(slots for slots, _ in workers)
        )
        yield GaugeMetricFamily(
            "deployer_workers_without_broker",
            "Those of them that no message reaches now",
            value=sum(deaf is not None for _, deaf in workers),
        )


def _is_insider(request: HttpRequest) -> bool:
    """Whether a request comes from this machine, directly or through a proxy on it, or from somebody recognised."""
    if "HTTP_X_FORWARDED_FOR" in request.META and not is_proxy(str(request.META.get("REMOTE_ADDR", ""))):
        return False  # through a proxy that nobody named: who asks is not known
    try:
        return ip_address(client_address(request) or "::1").is_loopback or caller_of(request) is not None
    except Exception as error:  # noqa: BLE001 - who cannot be recognised now is told less
        log.debug("who asks could not be recognised: %s", type(error).__name__)
        return False


def _ask(part: Callable[[], str]) -> str:
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - whatever it is, a probe is told, and never with a 500
        # The kind of error only: its text may hold an address or a user's name, and nobody has signed in here.
        return f"does not answer ({type(error).__name__})"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _worker() -> str:
    seen = Heartbeat.objects.filter(seen__gte=timezone.now() - SEEN_LATELY).exists()
    return "ok" if seen else f"none was seen in the last {int(SEEN_LATELY.total_seconds())} s"
