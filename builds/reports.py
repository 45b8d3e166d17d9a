"""What build servers report: who it is from, whether it came before, and what it moves.

GitLab is known by its token (X-Gitlab-Token); Jenkins and everybody else sign as in Standard Webhooks: `webhook-id`,
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

from access.problems import Problem, invalid, not_found
from microservice.models import MicroService
from microservice.status import BuildStatus

from . import build_requests, rebuilds, servers, wake
from .models import OPEN, Build, Report
from .providers import LONGEST_REFERENCE, Silent, address_of, number_of, plain

OLDEST = 300  # seconds that a signed report's clock may differ
KEPT = timedelta(days=7)
LARGEST = 256 * 1024  # bytes of a report
LONGEST_TIME = 15  # digits: a number of thousands of them is no number for Python


@dataclass(frozen=True, slots=True)
class Told:
    """A report, read: of which version, by which reference (may be empty), and how far it is."""

    version_id: int
    reference: str
    status: BuildStatus
    detail: str = ""
    url: str = ""


def take_in(origin: str, headers: Mapping[str, str], body: bytes) -> str:
    """Applies a report; returns what came of it in one word: moved, unchanged or doubled.

    Raises a Problem: 401 where it is not verified, 404 for an unknown origin, 422 for what cannot be read.
    """
    if len(body) > LARGEST:
        raise too_large()
    if origin not in MicroService.Origin.values:
        raise not_found("origin")
    secret = servers.webhook_secret(origin)
    key = _gitlab_key(secret, headers, body) if origin == MicroService.Origin.GITLAB else _signed(secret, headers, body)
    told = _gitlab(_json(body)) if origin == MicroService.Origin.GITLAB else _plain(_json(body))
    try:
        with transaction.atomic():
            Report.objects.create(origin=origin, key=hashlib.sha256(key).hexdigest())
            return "unchanged" if told is None else _apply(origin, told)
    except IntegrityError:
        return "doubled"
    finally:
        Report.objects.filter(created__lt=timezone.now() - KEPT).delete()


def too_large() -> Problem:
    return Problem(413, "too_large", f"A report is at most {LARGEST // 1024} KiB.", "Send only the event itself.")


def _apply(origin: str, told: Told) -> str:
    """Ended builds stay, but what ended badly is looked at anew; a report about another pipeline than the one that was
    started moves nothing."""
    build = Build.objects.filter(version=told.version_id, origin=origin, status__in=OPEN).first()
    if build is None and rebuilds.reported(origin, told.version_id, told.reference):
        wake.workers()  # who look for themselves: a late report must not undo what came after it
    if build is None or (build.reference and told.reference and not _same(build.reference, told.reference)):
        return "unchanged"
    if (
        told.reference
        and Build.objects.filter(version=told.version_id, reference=told.reference).exclude(pk=build.pk).exists()
    ):
        return "unchanged"  # late, about an attempt before this one
    if told.reference != build.reference and _may_be_earlier(build, told):
        Build.objects.filter(pk=build.pk, status__in=OPEN).update(due=Now())
        wake.workers()
        return "unchanged"
    if told.status == BuildStatus.BUILDING:
        if told.reference and not build.reference:
            Build.objects.filter(pk=build.pk, status__in=OPEN, reference="").update(
                reference=told.reference, status=BuildStatus.BUILDING, started=build.started or timezone.now()
            )
        return "unchanged"
    return "moved" if build_requests.end(build, told.status, told.detail, url=told.url) else "unchanged"


def _may_be_earlier(build: Build, told: Told) -> bool:
    """Whether it may be about an attempt before this one, whose name is not known or not told: the server is asked."""
    earlier = Build.objects.filter(version=build.version_id, pk__lt=build.pk)
    if told.reference:
        earlier = earlier.filter(Q(reference="") | Q(reference__startswith="queue:"))
    return earlier.exists()


def _same(known: str, told: str) -> bool:
    return known == told or known.startswith("queue:")  # Jenkins' build has another name than its queue item


def _gitlab_key(secret: str, headers: Mapping[str, str], body: bytes) -> bytes:
    token = headers.get("X-Gitlab-Token", "")
    if not hmac.compare_digest(token.encode(), secret.encode()):
        raise _unverified("X-Gitlab-Token is not the one that was set up.")
    # GitLab sends the same event again under the same key; without one, the same bytes are the same event.
    return (headers.get("Idempotency-Key") or headers.get("X-Gitlab-Event-UUID") or "").encode() + b"\0" + body


def _signed(secret: str, headers: Mapping[str, str], body: bytes) -> bytes:
    number, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    is_time = len(at) <= LONGEST_TIME and at.isascii() and at.isdigit()
    if not number or not is_time or abs(time.time() - int(at)) > OLDEST:
        raise _unverified("webhook-id is missing, or webhook-timestamp is no time within the last minutes.")
    expected = hmac.digest(secret.encode(), f"{number}.{at}.".encode() + body, "sha256")
    for signature in headers.get("webhook-signature", "").split(" "):
        kind, _, value = signature.partition(",")
        if kind == "v1" and hmac.compare_digest(value.encode(), base64.b64encode(expected)):
            return number.encode()
    raise _unverified("webhook-signature is not this body's.")


def _unverified(detail: str) -> Problem:
    return Problem(401, "unauthorized", detail, "Look at the secret on both sides.")


def _json(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not_json", "The body is not JSON, or nested too deeply.") from error
    if not isinstance(told, dict):
        raise invalid("", "must be an object")
    return told


def _gitlab(told: dict[str, Any]) -> Told | None:
    """A pipeline event; None for every other kind of event, and for pipelines that were not started from here."""
    pipeline = told.get("object_attributes")
    if told.get("object_kind") != "pipeline" or not isinstance(pipeline, dict):
        return None
    listed = pipeline.get("variables") or []
    if not isinstance(listed, list):
        raise invalid("/object_attributes/variables", "must be a list")
    ours = [one for one in listed if isinstance(one, dict) and one.get("key") == "VERSION_ID"]
    number = _id_of(ours[0].get("value")) if ours else 0
    if not number:
        return None
    named = told.get("project")
    path = plain(named.get("path_with_namespace") if isinstance(named, dict) else "", LONGEST_REFERENCE)
    reference = f"{path}#{number_of(pipeline.get('id'))}"
    if len(reference) > LONGEST_REFERENCE:
        raise invalid("/project/path_with_namespace", f"must be at most {LONGEST_REFERENCE} characters")
    from . import gitlab  # python-gitlab: only where a report is read

    try:
        status, detail = gitlab.status_of(plain(pipeline.get("status"), 40))
    except Silent as error:
        raise invalid("/object_attributes/status", "is none that is documented") from error
    return Told(number, reference, status, detail, address_of(pipeline.get("url")))


def _plain(told: dict[str, Any]) -> Told:
    """{"version_id", "status": building|success|failed|timeout, "reference", "detail", "url"}"""
    number = _id_of(told.get("version_id"))
    if not number:
        raise invalid("/version_id", "must be a version's id")
    known = {
        str(status.label): status
        for status in (BuildStatus.BUILDING, BuildStatus.SUCCESS, BuildStatus.FAILED, BuildStatus.TIMEOUT)
    }
    word = told.get("status")
    if not isinstance(word, str) or word not in known:
        raise invalid("/status", f"must be one of {', '.join(known)}")
    texts = {name: told.get(name) or "" for name in ("reference", "detail", "url")}
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) > 500:
            raise invalid(f"/{name}", "must be a text of at most 500 characters")
    return Told(
        number,
        plain(texts["reference"], LONGEST_REFERENCE),
        known[word],
        plain(texts["detail"], 500),
        address_of(texts["url"]),
    )


def _id_of(value: object) -> int:
    """A version's id, as a number or as text; 0 for everything else."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0
    return number_of(value)
