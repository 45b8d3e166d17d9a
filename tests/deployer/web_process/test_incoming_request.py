"""When a request is whole, decided from its bytes alone: however they were cut."""

import pytest

from deployer.web_process.incoming_request import MAX_BUFFERED_BODY, MAX_HEAD, IncomingRequest, Limits

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
def test_a_request_is_ready_with_its_last_byte_and_not_before(whole):
    assert not any(arrived(whole[:end]).ready for end in range(1, len(whole)))
    assert arrived(whole).ready
    assert arrived(*[whole[n : n + 1] for n in range(len(whole))]).ready
    assert not arrived(whole).streamed


def test_what_comes_behind_is_kept():
    assert arrived(WHOLE[1] + WHOLE[0]).data == WHOLE[1] + WHOLE[0]
    assert arrived(WHOLE[1]).address == "/login/"


def test_a_large_body_is_streamed():
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
def test_what_the_parser_will_refuse_is_not_waited_for(broken):
    assert arrived(broken).ready


def test_a_head_without_an_end_is_too_large():
    assert arrived(b"G" * 9000).too_large == "line"
    assert arrived(HEAD, b"X: y\r\n" * (MAX_HEAD // 6)).too_large == "head"
    assert arrived(HEAD + b"X: y\r\n" * (MAX_HEAD // 6) + b"\r\n").too_large == "head"


def test_head_and_body_have_a_deadline_each():
    incoming = arrived(HEAD, now=3)
    assert incoming.deadline == 10  # however late a byte comes
    incoming.take(b"Content-Length: 5\r\n\r\nh", now=9)
    assert incoming.deadline == 29
    incoming.take(b"e", now=28)
    assert incoming.deadline == 29


def test_who_waits_for_leave_to_send_is_known():
    assert arrived(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").expects
    assert not arrived(HEAD + b"Content-Length: 5\r\n\r\n").expects
