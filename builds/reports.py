"""Reports of build servers (webhooks): verify them, drop repeated ones, apply them.

GitLab sends a token (X-Gitlab-Token); Jenkins and all others sign as in Standard Webhooks: `webhook-id`,
`webhook-timestamp`, `webhook-signature: v1,base64(HMAC-SHA256(secret, id.timestamp.body))`.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from access.problems import Problem, invalid, not_found, refused, unauthorized
from messages import Message
from messages.rendering import literal
from microservice.models import MicroService
from microservice.status import BuildStatus
from runtime.ids import parse_id, parse_number

from . import build_requests, rebuilds, servers, wake
from .models import OPEN, Build, Report
from .providers import MAX_REFERENCE, ProviderUnreachable, clean_text, positive_id, web_url

MAX_CLOCK_SKEW = 300  # seconds between the sender's clock and this one
REPORT_RETENTION = timedelta(days=7)
MAX_REPORT_BYTES = 256 * 1024  # bytes of a report
MAX_TIMESTAMP_DIGITS = 15  # int() refuses texts of thousands of digits
REPORTED = frozenset(MicroService.Origin.values) - {MicroService.Origin.IMAGE.value}  # an engine reports nothing


@dataclass(frozen=True, slots=True)
class ReportedState:
    """A parsed report: the version, the reference (may be empty) and the status."""

    version_id: int
    reference: str
    status: BuildStatus
    detail: Message | None = None
    url: str = ""


def receive(origin: str, headers: Mapping[str, str], body: bytes) -> str:
    """Apply a report. Return the result in one word: moved, unchanged or doubled.

    Raise a Problem: 401 if it is not verified, 404 for an unknown origin, 422 for an invalid body.
    """
    if len(body) > MAX_REPORT_BYTES:
        raise too_large()
    if origin not in REPORTED:
        raise not_found("origin")
    secret = servers.webhook_secret(origin)
    key = _gitlab_key(secret, headers, body) if origin == MicroService.Origin.GITLAB else _signed(secret, headers, body)
    state = _gitlab(_json(body)) if origin == MicroService.Origin.GITLAB else _generic(_json(body))
    try:
        with transaction.atomic():
            Report.objects.create(origin=origin, key=hashlib.sha256(key).hexdigest())
            return "unchanged" if state is None else _apply(origin, state)
    except IntegrityError:
        return "doubled"
    finally:
        Report.objects.filter(created__lt=timezone.now() - REPORT_RETENTION).delete()


def too_large() -> Problem:
    return refused("too_large.report", kib=MAX_REPORT_BYTES // 1024)


def _apply(origin: str, state: ReportedState) -> str:
    """Apply a report to the open build. Ended builds stay as they are, but failed ones are polled again; a report about
    another pipeline than the started one changes nothing."""
    build = Build.objects.filter(version=state.version_id, origin=origin, status__in=OPEN).first()
    if build is None and rebuilds.reported(origin, state.version_id, state.reference):
        wake.workers()  # they poll: a late report must not undo what came after it
    if build is None or (build.reference and state.reference and not _same(build.reference, state.reference)):
        return "unchanged"
    if (
        state.reference
        and Build.objects.filter(version=state.version_id, reference=state.reference).exclude(pk=build.pk).exists()
    ):
        return "unchanged"  # late: about an earlier attempt
    if state.reference != build.reference and _may_be_earlier(build, state):
        Build.objects.filter(pk=build.pk, status__in=OPEN).update(due=Now())
        wake.workers()
        return "unchanged"
    if state.status == BuildStatus.BUILDING:
        if state.reference and not build.reference:
            Build.objects.filter(pk=build.pk, status__in=OPEN, reference="").update(
                reference=state.reference, status=BuildStatus.BUILDING, started=build.started or timezone.now()
            )
        return "unchanged"
    return "moved" if build_requests.end(build, state.status, state.detail, url=state.url) else "unchanged"


def _may_be_earlier(build: Build, state: ReportedState) -> bool:
    """Return whether the report may be about an earlier attempt, of unknown name: then the server is polled."""
    earlier = Build.objects.filter(version=build.version_id, pk__lt=build.pk)
    if state.reference:
        earlier = earlier.filter(Q(reference="") | Q(reference__startswith="queue:"))
    return earlier.exists()


def _same(known: str, reported: str) -> bool:
    return known == reported or known.startswith("queue:")  # a Jenkins build has another name than its queue item


def _gitlab_key(secret: str, headers: Mapping[str, str], body: bytes) -> bytes:
    token = headers.get("X-Gitlab-Token", "")
    if not hmac.compare_digest(token.encode(), secret.encode()):
        raise unauthorized("unauthorized.gitlab_token")
    # GitLab repeats an event under the same key; without a key, equal bytes are the same event.
    return (headers.get("Idempotency-Key") or headers.get("X-Gitlab-Event-UUID") or "").encode() + b"\0" + body


def _signed(secret: str, headers: Mapping[str, str], body: bytes) -> bytes:
    number, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    seconds = parse_number(at)
    if not number or seconds is None or abs(time.time() - seconds) > MAX_CLOCK_SKEW:
        raise unauthorized("unauthorized.webhook_time", seconds=MAX_CLOCK_SKEW)
    expected = hmac.digest(secret.encode(), f"{number}.{at}.".encode() + body, "sha256")
    for signature in headers.get("webhook-signature", "").split(" "):
        kind, _, value = signature.partition(",")
        if kind == "v1" and hmac.compare_digest(value.encode(), base64.b64encode(expected)):
            return number.encode()
    raise unauthorized("unauthorized.webhook_signature")


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused("not_json.report") from error
    if not isinstance(document, dict):
        raise invalid("", "must_be_object")
    return document


def _gitlab(event: dict[str, Any]) -> ReportedState | None:
    """Parse a pipeline event. Return None for other events, and for pipelines that were not started by this system."""
    pipeline = event.get("object_attributes")
    if event.get("object_kind") != "pipeline" or not isinstance(pipeline, dict):
        return None
    variables = pipeline.get("variables") or []
    if not isinstance(variables, list):
        raise invalid("/object_attributes/variables", "must_be_list")
    ours = [entry for entry in variables if isinstance(entry, dict) and entry.get("key") == "VERSION_ID"]
    version_id = _id_of(ours[0].get("value")) if ours else 0
    if not version_id:
        return None
    project = event.get("project")
    path = clean_text(project.get("path_with_namespace") if isinstance(project, dict) else "", MAX_REFERENCE)
    reference = f"{path}#{positive_id(pipeline.get('id'))}"
    if len(reference) > MAX_REFERENCE:
        raise invalid("/project/path_with_namespace", "too_long", max=MAX_REFERENCE)
    from . import gitlab  # python-gitlab: imported only when needed

    try:
        status, code = gitlab.status_of(clean_text(pipeline.get("status"), 40))
    except ProviderUnreachable as error:
        raise invalid("/object_attributes/status", "gitlab_invalid.status", **error.message.params) from error
    return ReportedState(version_id, reference, status, Message(code) if code else None, web_url(pipeline.get("url")))


def _generic(event: dict[str, Any]) -> ReportedState:
    """Parse {"version_id", "status": building|success|failed|timeout, "reference", "detail", "url"}."""
    version_id = _id_of(event.get("version_id"))
    if not version_id:
        raise invalid("/version_id", "must_be_version_id")
    known = {
        str(status.label): status
        for status in (BuildStatus.BUILDING, BuildStatus.SUCCESS, BuildStatus.FAILED, BuildStatus.TIMEOUT)
    }
    word = event.get("status")
    if not isinstance(word, str) or word not in known:
        raise invalid("/status", "one_of", allowed=list(known))
    texts = {name: event.get(name) or "" for name in ("reference", "detail", "url")}
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) > 500:
            raise invalid(f"/{name}", "must_be_text", max=500)
    return ReportedState(
        version_id,
        clean_text(texts["reference"], MAX_REFERENCE),
        known[word],
        literal(clean_text(texts["detail"], 500)) if texts["detail"] else None,
        web_url(texts["url"]),
    )


def _id_of(value: object) -> int:
    """Return a version's id, given as a number or as text; 0 for anything else."""
    return parse_id(value) or 0
