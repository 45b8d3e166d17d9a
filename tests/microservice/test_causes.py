"""What failed alike on many hosts has one cause; what failed otherwise has another."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.codes import Code, error, reason
from microservice.causes import LENGTH, LONGEST, alike, cause_of

pytestmark = pytest.mark.pure


def said(text: str, code: Code = Code.STEP_FAILED) -> object:
    return error(code, step="start", reason=reason("exit_status", status=1), said=text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dial tcp 10.0.0.12:5432: connection refused", "dial tcp 10.0.3.7:5432: connection refused"),
        ("2026-11-27T13:31:24.123Z ERROR pool is empty", "2026-11-28T09:05:01.001Z ERROR pool is empty"),
        ("Fri Nov 27 13:31:24 UTC 2026: no licence", "Sat Nov 28 09:05:01 UTC 2026: no licence"),
        ("27 Nov 2026 13:31:24 no licence", "3 Nov 2026 01:02:03 no licence"),
        ("app[1234]: killed", "app[77]: killed"),
        ("connect to [fe80::1%eth0]:80 failed", "connect to [fe80::22%eth0]:80 failed"),
        ("cannot write /tmp/tmp.aB3xYz", "cannot write /tmp/tmp.Qq81kk"),
        ("container 3fa9c0de1b2f is gone", "container 00aa11bb22cc is gone"),
        ("took 12ms", "took 9.5ms"),
        ("job 6fa459ea-ee8a-3ca4-894e-db77e160355e lost", "job 16fd2706-8baf-433b-82eb-8c7fada847da lost"),
        ("a   wide\n line", "a wide line"),
    ],
)
def test_what_differs_from_host_to_host_is_no_difference(one, other):
    assert cause_of(said(one), Code.STEP_FAILED, "start") == cause_of(said(other), Code.STEP_FAILED, "start")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection refused", "connection reset"),
        ("std::bad_alloc", "std::bad_cast"),
        ("face decade", "face facade"),  # words, though all of their letters are hexadecimal
        ("no such file: /etc/app/a.conf", "no such file: /etc/app/b.conf"),
    ],
)
def test_other_words_are_another_cause(one, other):
    assert cause_of(said(one), Code.STEP_FAILED, "start") != cause_of(said(other), Code.STEP_FAILED, "start")


def test_step_and_code_are_part_of_the_cause():
    message = said("no route")
    causes = {
        cause_of(message, Code.STEP_FAILED, "start"),
        cause_of(message, Code.STEP_FAILED, "check"),
        cause_of(message, Code.TIMEOUT, "start"),
    }
    assert len(causes) == 3 and all(len(cause) == LENGTH for cause in causes)
    assert cause_of(None, Code.CANCELLED, "start") == "", "nothing went wrong"


def test_own_names_of_the_host_are_taken_out_and_no_more():
    def cause(text: str, *names: str) -> str:
        return cause_of(said(text), Code.STEP_FAILED, "start", names)

    assert cause("alpha.example.com refused", "alpha.example.com") == cause("beta refused", "beta")
    assert cause("alphabet soup", "alpha") != cause("betabet soup", "beta"), "a name inside of a word is none"
    assert cause("at app", "at") == cause("at app"), "what is too short would take words out"
    assert cause("a+b refused", "a+b") == cause("(c) refused", "(c)"), "a name is no pattern"


def test_where_it_happened_is_not_what_happened():
    def away(where: str) -> str:
        return cause_of(error(Code.UNREACHABLE, where=where, reason=reason("refused")), Code.UNREACHABLE, "")

    assert away("web-a (10.0.0.1:22)") == away("db-b (10.0.0.2:2222)")


@given(st.text(max_size=300), st.ip_addresses(), st.datetimes(), st.integers(0, 10**6))
def test_numbers_addresses_and_times_are_never_a_difference(words, address, moment, number):
    assert alike(f"{words} {address} {moment} {number}") == alike(alike(f"{words} {address} {moment} {number}"))
    assert not any(digit in alike(f"{address} {number}") for digit in "0123456789")


@pytest.mark.parametrize("text", ["a" * 10**6, ":" * 10**6, "0:" * 10**6, "jan " * 10**6, "[" * 10**6, "1." * 10**6])
def test_hostile_output_costs_no_time(text):
    began = time.process_time()
    assert len(alike(text)) <= LONGEST
    assert time.process_time() - began < 1
