"""No user's text is markup on any page, in either language; and every page says what it may load."""

import re
from collections import deque
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db.models import CharField, JSONField, TextField

from access.models import Membership, Team, Token
from access.roles import Role
from access.sealed import SealedMapField
from asset.models import Asset, Credential
from audit.models import History
from callbacks.models import Callback, Delivery
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Operation, Step
from microservice.status import OperationStatus, StepStatus
from tests import factories

pytestmark = pytest.mark.django_db
EVIL = "\"'><img src=x onerror=a>"
RAW = (b"<img src=x onerror", b"<svg onload", b"\x1b]8", b"<script>a")
OUTPUT = (
    b"</pre><svg onload=alert(1)>\n\x1b]8;;javascript:a\x07link\x1b]8;;\x07\n<script>a</script> javascript:alert(1)\n"
)
MODELS = (
    MicroService,
    MicroServiceVersion,
    MicroServiceInstance,
    Asset,
    Credential,
    Deployment,
    Operation,
    Step,
    History,
    Callback,
    Delivery,
    Team,
    Token,
)
# What only our own rules write: words that they compare, digests, keys, places.
OURS = {
    "status",
    "undo_status",
    "action",
    "sha256",
    "secret",
    "passphrase",
    "key",
    "host_key",
    "offered_key",
    "owner",
    "ip",
    "celery_task_id",
    "message_id",
    "file_path",
    "kind",
    "event",
    "state",
    "language",
    "build_orig",
    "request_id",
    "digest",
    "url",
    "headers",
    "body",
    "previous_hash",
    "hash",
    "seal",
    "subject",
    "token_hash",
    "base_path",
    "password",
}
JSON = {"environment": {"A": EVIL}, "before": {"description": EVIL}, "after": {"description": EVIL}}
MOST_PAGES = 220


@pytest.fixture
def evil():
    """Rows of every kind, with markup in every text that people, pipelines and hosts write."""
    deployment = factories.running(2)
    operation = deployment.operations.order_by("pk").first()
    Step.objects.create(operation=operation, position=0, name="x", status=StepStatus.FAILED, output_start=0)
    factories.output(operation, OUTPUT)
    user = get_user_model().objects.create_user("eve", email="a@example.org", first_name=EVIL, last_name=EVIL)
    team = Team.objects.create(name="t")
    Membership.objects.create(team=team, user=user, role=Role.VIEWER)
    Credential.objects.create(name="c", secret="x")
    callback = Callback.objects.create(url="https://example.org/", secret="whsec_eA==", events=["deployment_ended"])
    Delivery.objects.create(
        callback=callback,
        event="test",
        name="n",
        body="{}",
        message_id="m",
        until="2030-01-01T00:00Z",
        error="x",
        answer=EVIL,
    )
    History.objects.create(actor="x", action="change", subject="service", reason="x")
    changed = 0
    for model in MODELS:
        for row in model.objects.all():
            for field in model._meta.concrete_fields:
                changed += _spoil(row, field)
    get_user_model().objects.filter(pk=user.pk).update(username=EVIL)
    Operation.objects.filter(pk=operation.pk).update(status=OperationStatus.FAILED, error=f"x failed: {EVIL}")
    assert changed > 60
    return operation


def _spoil(row, field) -> int:
    if field.name in JSON and isinstance(field, JSONField):
        type(row).objects.filter(pk=row.pk).update(**{field.name: JSON[field.name]})
        return 1
    if not isinstance(field, (CharField, TextField)) or field.choices or field.name in OURS or field.primary_key:
        return 0
    if isinstance(field, SealedMapField):  # JSON of ours: names and encrypted values
        return 0
    text = f"{row.pk}{EVIL}" if field.unique or field.name in ("name", "version", "hostname") else EVIL
    if len(text) > (field.max_length or 10_000):
        return 0
    type(row).objects.filter(pk=row.pk).update(**{field.name: text})
    return 1


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_user_text_is_escaped_on_every_page(admin_client, evil, language):
    seen, waiting, shown = set(), deque(["/"]), 0
    waiting += [
        f"/operations/{evil.pk}/",
        f"/operations/{evil.pk}/log/",
        f"/operations/{evil.pk}/output/",
        "/history/",
        "/people/",
        "/hosts/new/",
        f"/api/v1/operations/{evil.pk}",
    ]
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.popleft()
        if path in seen:
            continue
        seen.add(path)
        answer = admin_client.get(path, headers={"Accept-Language": language})
        if getattr(answer, "streaming", False):
            b"".join(answer.streaming_content)  # to its end: what it holds (a turn, a stream) is given back
            continue
        assert answer.status_code < 500, path
        if not answer["Content-Type"].startswith("text/html"):
            continue
        text = answer.content
        assert not [raw for raw in RAW if raw in text], path
        assert not re.search(rb"(?:href|src|action)\s*=\s*[\"']?\s*javascript:", text, re.IGNORECASE), path
        assert not re.search(rb"<[^>]*\son\w+\s*=", re.sub(rb"=\s*\"[^\"]*\"", b"", text)), path
        policy = answer.get("Content-Security-Policy", "")
        assert "default-src 'self'" in policy or "default-src 'none'" in policy, path
        assert "unsafe-inline" not in policy or path.startswith(("/admin/", "/api/")), path
        assert answer["X-Content-Type-Options"] == "nosniff", path
        shown += b"&lt;img src=x onerror" in text
        waiting += [link for link in _links(path, text.decode()) if link not in seen]
    assert len(seen) > 40 and shown > 15, (len(seen), shown)


def _links(path: str, text: str) -> list[str]:
    found = (urlsplit(urljoin(path, unescape(link))) for link in re.findall(r"href=\"([^\"#]*)", text))
    return [
        one.path + (f"?{one.query}" if one.query else "")
        for one in found
        if not one.netloc
        and one.scheme == ""
        and one.path.startswith("/")
        and "/events" not in one.path
        and not one.path.startswith(("/static/", "/words/", "/logout"))
    ]


def test_log_is_served_as_plain_text(admin_client, evil):
    answer = admin_client.get(f"/api/v1/operations/{evil.pk}/log")
    assert b"".join(answer) == OUTPUT
    assert answer["Content-Type"] == "text/plain; charset=utf-8" and answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
