"""Probes and metrics: liveness, readiness and the amount of work. No sign-in is needed, so no names are shown."""

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

WORKER_TIMEOUT = timedelta(seconds=60)  # without a heartbeat
BROKER_TIMEOUT = 2.0  # seconds
log = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while the process answers at all. It checks nothing."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database answers and a worker was seen recently, else 503, within seconds.

    A broker that does not answer is reported, but does not fail the check: rows are the queue, so requests are still
    accepted and carried out, and a load balancer must not remove every web process because of it. Only this machine,
    and callers with a token or a session, see which part fails; others learn only whether the system is ready.
    """
    parts = {"database": _check(_database), "broker": broker_check.look(BROKER_TIMEOUT)}
    parts["worker"] = _check(_worker) if parts["database"] == "ok" else "not checked: the database does not answer"
    ready = parts["database"] == parts["worker"] == "ok"
    details = {"degraded": ready and parts["broker"] != "ok", **parts} if _is_insider(request) else {}
    return JsonResponse({"ready": ready, **details}, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format, counted from the rows now: every process gives the same figures.

    503 where the database does not answer: unknown figures must not be reported as zeros.
    """
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(QueueCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except Exception as error:  # noqa: BLE001 - a probe gets an answer for every error
        log.warning("the figures could not be counted: %s", type(error).__name__)
        return HttpResponse("# the database does not answer\n", content_type="text/plain", status=503)


class QueueCollector:
    """A collector for one answer. Four queries, over open deployments and operations or a handful of rows."""

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
        open_operations = Operation.objects.filter(deployment__status__in=DEPLOYMENT_OPEN)
        counted = dict(open_operations.order_by().values_list("status").annotate(Count("pk")))
        for word in OPERATION_OPEN | set(counted):
            operations.add_metric([word], counted.get(word, 0))
        yield operations

        waiting = open_operations.filter(status=OperationStatus.QUEUED).aggregate(oldest=Min("deployment__created"))[
            "oldest"
        ]
        yield GaugeMetricFamily(
            "deployer_queue_age_seconds",
            "Age of the oldest deployment with a queued operation",
            value=(now - waiting).total_seconds() if waiting else 0,
        )
        workers = list(Heartbeat.objects.filter(seen__gte=now - WORKER_TIMEOUT).values_list("slots", "without_broker"))
        yield GaugeMetricFamily("deployer_workers", "Worker processes seen in the last minute", value=len(workers))
        yield GaugeMetricFamily(
            "deployer_worker_slots", "Operations that they can run at once", value=sum(slots for slots, _ in workers)
        )
        yield GaugeMetricFamily(
            "deployer_workers_without_broker",
            "Worker processes that have no connection to the broker",
            value=sum(without_broker is not None for _, without_broker in workers),
        )


def _is_insider(request: HttpRequest) -> bool:
    """Return whether a request comes from this machine, directly or through a proxy on it, or from a known caller."""
    if "HTTP_X_FORWARDED_FOR" in request.META and not is_proxy(str(request.META.get("REMOTE_ADDR", ""))):
        return False  # through a proxy that is not configured: the client is unknown
    try:
        return ip_address(client_address(request) or "::1").is_loopback or caller_of(request) is not None
    except Exception as error:  # noqa: BLE001 - a caller who cannot be authenticated now sees less
        log.debug("the caller could not be authenticated: %s", type(error).__name__)
        return False


def _check(part: Callable[[], str]) -> str:
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - a probe gets an answer for every error, never a 500
        # Only the class of the error: its text may hold an address or a user name, and there is no sign-in here.
        return f"does not answer ({type(error).__name__})"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _worker() -> str:
    seen = Heartbeat.objects.filter(seen__gte=timezone.now() - WORKER_TIMEOUT).exists()
    return "ok" if seen else f"none seen in the last {int(WORKER_TIMEOUT.total_seconds())} s"
