"""When a request is whole, decided from its bytes alone: however they were cut."""

import pytest

from deployer.web_process.incoming_request import MAX_BUFFERED_BODY, MAX_HEAD, IncomingRequest, Limits

pytestmark = pytest.mark.pure

HEAD = b"POST /login/?a=b HTTP/1.1\r\nHost: x\r\n"


def arrived(*pieces: bytes, now: float = 0) -> IncomingRequest:
    incoming = IncomingRequest(0, Limits(head=10, body=20))
    for piece in pieces:
        incoming.take(piece, now)
    return incoming


WHOLE = [
    b"GET / HTTP/1.1\r\n\r\n",
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"content-length:5\r\n\r\nhello",
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Content-Length: 00000000000000000000005\r\n\r\nhello",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n000000005\r\nhello\r\n0000000000\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nA;name=value\r\n0\r\n\r\n12345\r\n0\r\nTrailer: x\r\n\r\n",
]


@pytest.mark.parametrize("whole", WHOLE)
def test_ready_with_the_last_byte(whole):
    assert not any(arrived(whole[:end]).ready for end in range(1, len(whole)))
    assert arrived(whole).ready
    assert arrived(*[whole[n : n + 1] for n in range(len(whole))]).ready
    assert not arrived(whole).streamed


def test_keeps_following_bytes():
    assert arrived(WHOLE[1] + WHOLE[0]).data == WHOLE[1] + WHOLE[0]
    assert arrived(WHOLE[1]).address == "/login/"


def test_streams_large_bodies():
    large = arrived(HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BUFFERED_BODY + 1))
    assert (large.ready, large.streamed) == (True, True)
    assert not arrived(HEAD + b"Content-Length: %d\r\n\r\n" % MAX_BUFFERED_BODY).ready
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    large = arrived(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 18)
    assert (large.ready, large.streamed) == (True, True)


@pytest.mark.parametrize(
    "broken",
    [
        b"GET / HTTP/1.1\nHost: x\n",
        HEAD + b"\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
    ],
)
def test_does_not_wait_for_invalid_requests(broken):
    assert arrived(broken).ready


def test_rejects_endless_heads():
    assert arrived(b"G" * 9000).too_large == "line"
    assert arrived(HEAD, b"X: y\r\n" * (MAX_HEAD // 6)).too_large == "head"
    assert arrived(HEAD + b"X: y\r\n" * (MAX_HEAD // 6) + b"\r\n").too_large == "head"


def test_head_and_body_have_deadlines():
    incoming = arrived(HEAD, now=3)
    assert incoming.deadline == 10  # however late a byte comes
    incoming.take(b"Content-Length: 5\r\n\r\nh", now=9)
    assert incoming.deadline == 29
    incoming.take(b"e", now=28)
    assert incoming.deadline == 29


def test_knows_clients_that_expect_100_continue():
    assert arrived(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").expects
    assert not arrived(HEAD + b"Content-Length: 5\r\n\r\n").expects
