"""What build servers report: verified, counted once, and never moving what has ended."""

import base64
import hmac
import json
import time

import pytest

from access.callers import SYSTEM
from builds import build_requests, servers
from builds.models import Build
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.api.client import Api

pytestmark = pytest.mark.django_db
SECRET = "a-secret-of-both-sides"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setattr(servers, "webhook_secret", lambda name: SECRET)


@pytest.fixture
def build(monkeypatch, db):
    monkeypatch.setattr(servers, "check", lambda service: None)
    service = factories.service("shop", build_orig="gitlab", build_url="https://gitlab.example/team/shop")
    made = build_requests.start(SYSTEM, MicroServiceVersion.objects.create(microservice=service, version="1.0"))
    Build.objects.update(reference="team/shop#7", status=BuildStatus.BUILDING)
    return made


def pipeline(build, status, number=7):
    return {
        "object_kind": "pipeline",
        "project": {"path_with_namespace": "team/shop"},
        "object_attributes": {
            "id": number,
            "status": status,
            "variables": [{"key": "VERSION_ID", "value": str(build.version_id)}],
        },
    }


def gitlab(body, token=SECRET, **headers):
    return Api().post("/builds/gitlab/webhook", body, X_Gitlab_Token=token, **headers)


def signed(origin, body, number="msg_1", at=None, secret=SECRET):
    raw, at = json.dumps(body).encode(), str(int(at or time.time()))
    digest = hmac.digest(secret.encode(), f"{number}.{at}.".encode() + raw, "sha256")
    return Api().post(
        f"/builds/{origin}/webhook",
        raw,
        webhook_id=number,
        webhook_timestamp=at,
        webhook_signature="v1," + base64.b64encode(digest).decode(),
    )


def state(build) -> BuildStatus:
    return BuildStatus(MicroServiceVersion.objects.get(pk=build.version_id).status)


@pytest.mark.parametrize(
    ("word", "becomes", "detail"),
    [
        ("success", BuildStatus.SUCCESS, ""),
        ("failed", BuildStatus.FAILED, "failed"),
        ("canceled", BuildStatus.FAILED, "cancelled"),
        ("running", BuildStatus.BUILDING, ""),
        ("skipped", BuildStatus.FAILED, "skipped"),
    ],
)
def test_pipeline_events_change_the_build(build, word, becomes, detail):
    assert gitlab(pipeline(build, word)).status_code == 200
    assert state(build) == becomes
    assert detail in Build.objects.get().detail


@pytest.mark.parametrize("token", ["", "wrong", SECRET + "x"])
def test_rejects_events_without_token(build, token):
    assert gitlab(pipeline(build, "success"), token).status_code == 401
    assert state(build) == BuildStatus.BUILDING


def test_ignores_repeated_and_late_events(build):
    assert gitlab(pipeline(build, "failed")).json()["result"] == "moved"
    assert gitlab(pipeline(build, "failed")).json()["result"] == "doubled"
    assert gitlab(pipeline(build, "success")).json()["result"] == "unchanged"
    assert gitlab(pipeline(build, "running")).json()["result"] == "unchanged"
    assert state(build) == BuildStatus.FAILED


def test_ignores_other_pipelines_of_the_version(build):
    assert gitlab(pipeline(build, "failed", number=8)).json()["result"] == "unchanged"
    assert state(build) == BuildStatus.BUILDING


def test_event_names_a_pipeline_whose_answer_was_lost(build):
    Build.objects.update(reference="", status=BuildStatus.PENDING)
    gitlab(pipeline(build, "running"))
    assert Build.objects.get().reference == "team/shop#7"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"object_kind": "push"},
        {"object_kind": "pipeline"},
        {"object_kind": "pipeline", "object_attributes": {"status": "success"}},
    ],
)
def test_accepts_and_ignores_other_events(build, body):
    assert gitlab(body).json()["result"] == "unchanged"


def test_rejects_unreadable_bodies(build):
    assert gitlab(b"[").status_code == 400
    assert gitlab([]).status_code == 422
    assert gitlab(pipeline(build, "exploded")).status_code == 422
    assert Api().post("/builds/nobody/webhook", {}).status_code == 404


def test_signed_reports_change_a_jenkins_build_once(build):
    Build.objects.update(origin="jenkins", reference="queue:/queue/item/3")
    body = {"version_id": build.version_id, "status": "success", "reference": "build:/job/shop/4"}
    assert signed("jenkins", body, secret="other").status_code == 401
    assert signed("jenkins", body, at=time.time() - 600).status_code == 401
    assert signed("jenkins", body).json()["result"] == "moved"
    assert signed("jenkins", body).json()["result"] == "doubled"
    assert signed("jenkins", {**body, "status": "failed"}, number="msg_2").json()["result"] == "unchanged"
    assert state(build) == BuildStatus.SUCCESS
    assert signed("jenkins", {"version_id": "x", "status": "success"}, number="msg_3").status_code == 422


DEEP = b"[" * 100_000
SHAPES = [
    {"variables": 5},
    {"variables": [{"key": ["a"], "value": "1"}]},
    {"variables": [{"key": "VERSION_ID", "value": [1]}]},
    {"variables": {"key": "VERSION_ID"}},
    {"variables": [5, None, []]},
    {"status": ["success"]},
    {"status": {"a": 1}},
    {"id": "7" * 400},
    {"id": 10**400},
    {"url": "x" * 5000},
    {"url": "\ud800"},
    {"status": "\ud800"},
    {"id": [7]},
]


@pytest.mark.found("builds")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_events_of_any_shape_cause_no_error(build, shape):
    body = pipeline(build, "success")
    body["object_attributes"].update(shape)
    for project in (
        {"path_with_namespace": "p" * 5000},
        {"path_with_namespace": ["x"]},
        5,
        None,
        {"path_with_namespace": "a\0\ud800"},
    ):
        Build.objects.update(reference="", status=BuildStatus.BUILDING)
        answer = gitlab({**body, "project": project})
        assert answer.status_code < 500, answer.content


@pytest.mark.found("builds")
@pytest.mark.parametrize(
    "raw",
    [
        DEEP,
        b'{"a":' * 50_000,
        b"\xff\xfe\x00",
        b'{"object_kind": ' + b"9" * 5000 + b"}",
        b"NaN",
        b'"\\ud800"',
        b"",
        b"null",
        b"{" + b" " * (300 * 1024) + b"}",
    ],
)
def test_rejects_invalid_bodies(build, raw):
    assert 400 <= gitlab(raw).status_code < 500


@pytest.mark.found("builds")
def test_signed_bodies_of_any_shape_cause_no_error(build):
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    single = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
    value = st.recursive(
        single,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
    names = ("version_id", "status", "reference", "detail", "url")

    @settings(max_examples=80, suppress_health_check=list(HealthCheck))
    @given(
        st.fixed_dictionaries({}, optional=dict.fromkeys(names, value)), st.sampled_from(["success", "building", None])
    )
    def never_an_error(body, word):
        body = {**body, **({"status": word, "version_id": build.version_id} if word else {})}
        assert signed("jenkins", body, number=str(time.monotonic_ns())).status_code < 500

    never_an_error()


@pytest.mark.parametrize("at", ["9" * 5000, "²", "-1", "1e9", ""])
def test_rejects_invalid_times(build, at):
    answer = Api().post(
        "/builds/jenkins/webhook", b"{}", webhook_id="1", webhook_timestamp=at, webhook_signature="v1,x"
    )
    assert answer.status_code == 401
