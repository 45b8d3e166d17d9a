"""An operation's log through the API: whole, by range, piece by piece, and searched."""

import gzip

import pytest

from access import turns
from microservice.output import searching
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def operation():
    return factories.running().operations.get()


@pytest.fixture
def log(api, operation):
    """`log("?offset=0", Range="bytes=0-1")` asks for the operation's output."""
    caller = api("read")
    return lambda query="", **headers: caller.get(f"/operations/{operation.pk}/log{query}", **headers)


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_log_is_plain_text(operation, log):
    whole = factories.output(operation, b"<script>alert(1)</script>\n", bytes(range(256)))
    answer = log()
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert (answer["X-Content-Type-Options"], answer["Accept-Ranges"]) == ("nosniff", "bytes")
    assert answer["Content-Length"] == str(len(whole)) and body(answer) == whole


def test_empty_log(log):
    answer = log()
    assert answer.status_code == 200 and body(answer) == b""
    assert log("?offset=0")["X-Next-Offset"] == "0"
    assert log("?search=x")["X-Hits"] == "0"
    assert log(Range="bytes=0-").status_code == 416


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 6),
        ("bytes=5-", 5, 20),
        ("bytes=-3", 17, 20),
        ("bytes=15-99999", 15, 20),
        ("bytes=-99", 0, 20),
        ("bytes=0-19", 0, 20),
    ],
)
def test_range_has_exactly_its_bytes(operation, log, header, start, end):
    whole = factories.output(operation, b"0123456", b"789abcd", b"efghij")
    answer = log(Range=header)
    assert (answer.status_code, body(answer)) == (206, whole[start:end])
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/20" and answer["Content-Length"] == str(end - start)


@pytest.mark.parametrize("header", ["bytes=20-", "bytes=99-100", "bytes=-0"])
def test_refuses_ranges_outside_the_log(operation, log, header):
    factories.output(operation, b"01234567890123456789")
    answer = log(Range=header)
    assert (answer.status_code, answer["Content-Range"], answer.json()["code"]) == (
        416,
        "bytes */20",
        "range_not_satisfiable",
    )


@pytest.mark.parametrize(
    "header", ["bytes=5-2", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=x-y", "nonsense", "bytes=１-２"]
)
def test_ignores_invalid_ranges(operation, log, header):
    factories.output(operation, b"01234567890123456789")
    answer = log(Range=header)
    assert answer.status_code == 200 and len(body(answer)) == 20


def test_compresses_no_ranges(operation, log):
    whole = factories.output(operation, b"the same again\n" * 1000)
    part = log(Range="bytes=0-4999", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in part and body(part) == whole[:5000]
    packed = log(**{"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip" and gzip.decompress(body(packed)) == whole


def test_readers_resume(operation, log):
    whole = factories.output(operation, b"first ", b"second ", b"third")
    read, offset = b"", 0
    while offset < len(whole):
        answer = log(f"?offset={offset}&limit=4")
        read += answer.content
        assert answer["Next"] == answer["X-Next-Offset"]
        offset = int(answer["Next"])
    assert read == whole
    assert f"offset={offset}" in log(f"?offset={offset}")["Link"]
    factories.output(operation, b" more", start=len(whole))
    assert log(f"?offset={offset}").content == b" more"


@pytest.mark.parametrize(
    "query",
    [
        "?offset=-1",
        "?offset=x",
        "?offset=99",
        "?offset=0&limit=0",
        "?offset=0&limit=999999999",
        "?search=" + "x" * 201,
        "?search=a%0Ab",
        "?search=a%00b",
    ],
)
def test_rejects_invalid_searches(operation, log, query):
    factories.output(operation, b"text")
    assert log(query).status_code == 422


def test_search_returns_hits_with_offsets(operation, log):
    factories.output(operation, b"all is well\nan Er", b"ror, an error\nfine\nERROR\n")
    answer = log("?search=error")
    assert (answer["X-Hits"], answer["X-Lines"]) == ("3", "2")
    assert answer.content == b"12:an Error, an error\n36:ERROR\n"
    assert log("?search=error&offset=36").content == b"36:ERROR\n"
    assert log("?search=.").content == b""


def test_slow_searches_name_where_to_resume(operation, log, monkeypatch):
    whole = factories.output(operation, *[b"an error\n" * 10] * 20)
    monkeypatch.setattr(searching, "SEARCH_TIMEOUT", -1)
    at, hits, parts = 0, 0, 0
    while at is not None:
        answer = log(f"?search=error&offset={at}")
        hits, parts, at = hits + int(answer["X-Hits"]), parts + 1, int(answer["Next"]) if "Next" in answer else None
    assert hits == whole.count(b"error") and parts > 5


def test_limits_concurrent_logs_of_a_caller(operation, log):
    held = [log() for _ in range(turns.downloads.limit)]
    refused = log()
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "too_many_downloads", "10")
    body(held.pop())  # taken to its end
    held.append(log())
    assert held[-1].status_code == 200
    for one in held:
        body(one)
