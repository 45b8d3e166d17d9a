"""The error of a refused build is the build server's own sentence, which nothing overwrites."""

import json
import time

import pytest

from builds.error_sentence import error_sentence
from microservice.status import BuildStatus as B

from .steps import moved, requested

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("configured"), pytest.mark.found("waiting")]
BOTH = pytest.mark.parametrize("origin", ["gitlab", "jenkins"])

OOPS = (
    b"<html><head><title>Jenkins</title></head><body><h1>Oops!</h1><p>A problem occurred while processing the "
    b"request.</p></body></html>"
)
JETTY = (
    b"<html><head><title>Error 403 No valid crumb was included in the request</title></head><body>"
    b"<h2>HTTP ERROR 403 No valid crumb was included in the request</h2><table><tr><th>URI:</th><td>/job/shop</td>"
    b"</tr><tr><th>MESSAGE:</th><td>No valid crumb was included in the request</td></tr></table></body></html>"
)
TRACE = b"java.lang.IllegalStateException: This build is not parameterized!\n\tat hudson.model.Job.doBuild(Job.java)\n"
SAYS = [
    (
        "jenkins",
        400,
        b"<html><body><h1>Error</h1><p>shop is not parameterized</p></body></html>",
        {},
        "shop is not parameterized",
    ),
    ("jenkins", 400, OOPS, {"X-Error": "shop is not parameterized"}, "shop is not parameterized"),
    ("jenkins", 500, TRACE, {"Content-Type": "text/plain"}, "This build is not parameterized!"),
    ("jenkins", 403, JETTY, {}, "No valid crumb was included in the request"),
    ("jenkins", 409, b"java.io.IOException: shop is not buildable\n\tat x\n", {}, "shop is not buildable"),
    (
        "jenkins",
        403,
        b'<div id="error-description"><p>ci is missing the <b>Job/Build</b> permission</p></div>',
        {},
        "ci is missing the Job/Build permission",
    ),
    ("gitlab", 400, b'{"message": {"base": ["Reference not found"]}}', {}, "Reference not found"),
    (
        "gitlab",
        400,
        b'{"message": {"base": ["No stages / jobs for this pipeline."], "sha": ["is odd"]}}',
        {},
        "No stages / jobs for this pipeline.; sha is odd",
    ),
    ("gitlab", 401, b'{"error": "invalid_token", "error_description": "Token was revoked."}', {}, "Token was revoked."),
    (
        "gitlab",
        403,
        b'{"error": "insufficient_scope", "error_description": "The request requires higher privileges"}',
        {},
        "The request requires higher privileges",
    ),
    ("gitlab", 404, b'{"message": "404 Project Not SandboxSupport"}', {}, "404 Project Not SandboxSupport"),
    (
        "gitlab",
        422,
        b"<html><head><title>The change you requested was rejected (422)</title></head></html>",
        {},
        "The change you requested was rejected (422)",
    ),
]


@pytest.mark.parametrize(("origin", "status", "body", "headers", "sentence"), SAYS)
def test_quotes_why_a_start_was_refused(server, origin, status, body, headers, sentence):
    server.broken_start, server.says = status, (body, headers)
    if status == 500:
        server.job = {"buildable": True, "property": [{}]}
    build = moved(requested(origin, server))
    assert (build.status, build.version.status) == (B.FAILED, B.FAILED)
    assert sentence in build.detail and sentence in build.version.build_detail
    assert str(status) in build.detail or status == 401


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        ({"buildable": True, "property": [{}]}, "the job is not parameterized"),
        ({"buildable": True, "property": []}, "the job is not parameterized"),
        ({"buildable": False, "property": []}, "the job is not buildable"),
    ],
)
def test_reports_disabled_jenkins_jobs(server, job, sentence):
    server.broken_start, server.says, server.job = 500, (OOPS, {}), job
    build = moved(requested("jenkins", server))
    assert (build.status, sentence in build.detail) == (B.FAILED, True)


def test_keeps_the_first_answer_while_unknown(server):
    server.broken_start, server.says = 500, (b'{"message": "disk quota exceeded"}', {})
    server.job = {"buildable": True, "property": [{"parameterDefinitions": [{"name": "REF"}]}]}
    build = moved(requested("jenkins", server))
    assert build.status == B.BUILDING and "disk quota exceeded" in build.detail
    server.broken_start = None
    for _ in range(3):
        build = moved(build)
        assert "disk quota exceeded" in build.detail and build.detail.count("not confirmed") == 1
    assert build.status == B.BUILDING


def test_quotes_invalid_pipeline_reasons(server):
    build = moved(requested("gitlab", server))
    server.status, server.yaml_errors = "failed", "jobs:test config contains unknown keys: scirpt"
    build = moved(build)
    assert build.status == B.FAILED and "unknown keys: scirpt" in build.version.build_detail


@BOTH
def test_quotes_hold_no_token(server, origin):
    token = "glpat-secret" if origin == "gitlab" else "secret"
    server.broken_start, server.says = 403, (json.dumps({"message": f"no right for {token}"}).encode(), {})
    build = moved(requested(origin, server))
    assert build.status == B.FAILED and "no right for ***" in build.detail


SHAPES = [
    b"",
    b"{",
    b"[" * 30_000,
    b'{"message": ' * 5000,
    b'{"message": {"a": {"b": {"c": {"d": {"e": "x"}}}}}}',
    b"null",
    b"5",
    b"\xff\xfe",
    b"<" * 30_000,
    b"<p" * 15_000,
    b"<h1>Oops!</h1>",
    b"<!--" * 8000,
    b"x" * 10**6,
    b"a." * 16_000,
    b"a\x00\x1b[31mb",
    b"<td>" * 8000,
    b"Error 500: " * 3000,
    b"a.bException: " * 3000,
    b"<h1>" + b"aError" * 5000,
]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_quotes_one_short_line(number):
    began = time.process_time()
    sentence = error_sentence({}, SHAPES[number])
    assert time.process_time() - began < 1.5
    assert len(sentence) <= 300 and (sentence == "" or sentence.isprintable())
