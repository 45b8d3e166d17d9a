"""The log page: lines with addresses, search, expired output, and hostile output."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from microservice.models import Operation, Output, Step
from microservice.output import expiry
from microservice.status import OperationStatus
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def operation():
    found = factories.running(1, "shop").operations.get()
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished=timezone.now())
    return found


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li id="L(\d+)">', page)]


def get(client, address: str, **more) -> str:
    answer = client.get(address, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def test_opens_at_end_and_at_line(admin, operation, cost):
    factories.output(operation, *[b"".join(b"row %d\n" % (n + k) for k in range(500)) for n in range(1, 10_001, 500)])
    where = f"/operations/{operation.pk}/log/"
    assert numbers(get(admin, where))[-1] == 10_000 and "10000 lines" in get(admin, where)
    page = get(admin, f"{where}?line=5000")
    assert {4980, 5000, 5200} <= set(numbers(page)) and 4979 not in numbers(page)
    assert "<code>row 5000</code>" in page
    following = re.search(r'part=lines&amp;from=(\d+)"', page)[1]
    assert numbers(get(admin, f"{where}?part=lines&from={following}"))[0] == int(following) == numbers(page)[-1] + 1
    earlier = re.search(r'part=lines&amp;before=(\d+)"', page)[1]
    assert numbers(get(admin, f"{where}?part=lines&before={earlier}"))[-1] == int(earlier) - 1 == 4979
    assert numbers(get(admin, f"{where}?line=1"))[0] == 1
    assert numbers(get(admin, f"{where}?line=99999999"))[-1] == 10_000
    assert cost(admin, f"{where}?line=9000") <= cost(admin, f"{where}?line=5")


def test_counts_search_hits(admin, operation):
    factories.output(operation, b"one\nTwo two\n", b"three\ntwo <b>\n")
    page = get(admin, f"/operations/{operation.pk}/log/search/?q=TWO")
    assert "3 hits" in page and 'data-hits="2,4"' in page and "&lt;b&gt;" in page
    assert "0 hits" in get(admin, f"/operations/{operation.pk}/log/search/?q=nothing")
    assert admin.get(f"/operations/{operation.pk}/log/search/?q=a%0Ab").status_code == 422
    factories.output(operation, b"an error\n", start=999)
    assert "1 hit" in get(admin, f"/operations/{operation.pk}/log/search/?errors=1")


def test_escapes_hostile_output(admin, operation):
    factories.output(
        operation,
        b"\x1b[31mred\n still red\x1b[0m plain\n\x1b]8;;https://evil.example/\x07click\x1b]8;;\x07\n",
        b"<script>alert(1)</script>\x00\xe2\x80\xae\n" + b"z" * 1_000_000 + b"\n",
        b"\xff\xfe\x1b[2J\x1b]0;windowname\x07end\n",
    )
    page = get(admin, f"/operations/{operation.pk}/log/?line=1")
    body = page[page.index('id="log"') :]
    while following := re.search(r'part=lines&amp;from=(\d+)"', body):
        body = body.replace(following[0], "") + get(
            admin, f"/operations/{operation.pk}/log/?part=lines&from={following[1]}"
        )
    assert numbers(body) == [1, 2, 3, 4, 5, 6]
    assert '<span class="t-red"> still red</span> plain' in body
    assert "evil.example" not in body and "<script>" not in body and "\x1b" not in body and "\x00" not in body
    assert "U+202E" in body and "the rest of this line is not shown" in body and len(body) < 60_000
    assert "windowname" not in body


def test_opens_line_after_huge_line(admin, operation):
    factories.output(operation, b"a\n" + b"z" * 1_000_000 + b"\nthe line\nafter\n")
    assert numbers(get(admin, f"/operations/{operation.pk}/log/?line=3"))[0] == 3


@pytest.mark.found("output")
def test_follows_from_last_whole_line(admin):
    operation = factories.running(1, "shop").operations.get()
    factories.output(operation, b"one\ntwo\nhal")
    page = get(admin, f"/operations/{operation.pk}/log/")
    assert numbers(page) == [1, 2] and 'data-from="3"' in page
    assert '<li id="L3" data-unfinished><a href="#L3">3</a><code>hal</code></li>' in page
    Output.objects.create(operation=operation, start=11, line=2, data=b"f\nthree\n")
    more = get(admin, f"/operations/{operation.pk}/log/?part=lines&from=3")
    assert numbers(more) == [3, 4] and "<code>half</code>" in more and 'data-from="5"' in more
    head = get(admin, f"/operations/{operation.pk}/log/", headers={"HX-Request": "true"})
    assert "<html" not in head and 'id="live-head"' in head


def test_says_when_output_was_cut_or_expired(admin, operation, settings):
    factories.output(operation, b"line\n" * 10)
    where = f"/operations/{operation.pk}/log/"
    assert "kept until" in get(admin, where) and "Shortened" not in get(admin, where)
    Operation.objects.update(output_size=20 << 20)
    assert "Truncated at the limit of 8.0" in get(admin, where).replace("\xa0", " ")
    Operation.objects.update(finished=timezone.now() - timedelta(days=settings.OUTPUT_RETENTION_DAYS + 1))
    fresh = factories.running(1, "fresh").operations.get()
    factories.output(fresh, b"still here\n")
    assert expiry.prune_output() == 1 and expiry.prune_output() == 0
    assert "expired on" in get(admin, where) and Output.objects.get().operation == fresh


def test_lists_errors_only(admin, operation):
    factories.output(operation, b"fine\nno such file\nport 80 is\nin use\nall is well again\n")
    where = f"/operations/{operation.pk}/log/search/?errors=1"
    page = get(admin, where)
    assert "Counted as errors: lines with words" in page and 'data-hits="2"' in page
    Operation.objects.update(error_step="start")
    Step.objects.create(operation=operation, position=0, name="pre", output_start=0, undo_start=36)
    Step.objects.create(operation=operation, position=1, name="start", output_start=18)
    page = get(admin, where)
    assert "the last lines that step start printed" in page and 'data-hits="2,3,4"' in page
    steps = get(admin, f"/operations/{operation.pk}/")
    assert f'/operations/{operation.pk}/log/?at=18"' in steps
    assert admin.get(f"/operations/{operation.pk}/log/?at=18")["Location"].endswith("/log/?line=3#L3")


def test_log_of_other_team_is_not_found(admin):
    assert admin.get("/operations/999/log/").status_code == 404
    assert admin.get("/operations/999/log/search/?q=x").status_code == 404


BAR = b"".join(b"\rloading part %03d of a long name that fills the line, %d %%" % (n, n // 2) for n in range(201))


@pytest.mark.found("output")
@pytest.mark.parametrize("times", [1, 30], ids=["14 KiB", "400 KiB"])
def test_shows_last_state_of_rewritten_line(admin, operation, times):
    factories.output(operation, b"first\n", *[BAR] * times, b"\r\x1b[31merror\x1b[0m: no such mirror\n", b"last\n")
    where = f"/operations/{operation.pk}/log/"
    assert "last" in get(admin, where)
    page = get(admin, f"{where}?line=2")
    assert '<span class="t-red">error</span>: no such mirror' in page and "loading" not in page
    assert "earlier state" in page, "and says that more follows"
    part = re.search(r'href="(\?line=2&amp;near=\d+)#L2"', page)[1].replace("&amp;", "&")
    opened = get(admin, where + part)
    assert "loading part 200" in opened and "no such mirror" in opened
    while before := re.search(r'href="(\?line=2&amp;near=\d+)#L2"[^>]*>before', opened):
        opened = get(admin, where + before[1].replace("&amp;", "&"))
        if times > 1:
            break
    assert "loading part" in opened
    panel = get(admin, f"/operations/{operation.pk}/")
    assert "no such mirror" in panel and "loading part 150" not in panel


@pytest.mark.found("output")
def test_shows_unfinished_line(admin):
    operation = factories.running(1, "shop").operations.get()
    factories.output(operation, b"first\n" + BAR)
    page = get(admin, f"/operations/{operation.pk}/log/")
    assert re.search(r'<li id="L2" data-unfinished>.*loading part 200[^<]*100 %', page)
    panel = get(admin, f"/operations/{operation.pk}/")
    assert re.search(r"<span data-unfinished>loading part 200[^<]*100 %", panel)
    answer = admin.get(f"/operations/{operation.pk}/output/?offset=6")
    assert answer["X-Next"] == "6" and b"loading part 200" in answer.content, "and it is requested again"
    Output.objects.create(operation=operation, start=6 + len(BAR), line=1, data=b"\rdone\nnext")
    answer = admin.get(f"/operations/{operation.pk}/output/?offset=6")
    assert answer["X-Next"] == str(6 + len(BAR) + 6)
    assert answer.content.startswith(b"done") and b"<span data-unfinished>next</span>" in answer.content


@pytest.mark.found("output")
def test_reaches_last_state_of_long_line(admin):
    operation = factories.running(1, "shop").operations.get()
    whole = factories.output(operation, *[BAR] * 10, b"\rthe end of it\nnext\n")
    seen, offset = "", "0"
    for _ in range(20):
        answer = admin.get(f"/operations/{operation.pk}/output/?offset={offset}")
        seen += re.sub(r"<span data-unfinished>.*</span>", "", answer.content.decode(), flags=re.S)
        if answer["X-Next"] == offset:
            break
        offset = answer["X-Next"]
    assert offset == str(len(whole))
    lines_seen = re.sub(r'<span class="clipped">[^<]*</span>', "", seen).split("\n")
    assert [line.strip() for line in lines_seen] == ["the end of it", "next", ""]


@pytest.mark.found("output")
@pytest.mark.parametrize(
    ("text", "lead"),
    [(b"", b"x" * 100), (b"", b"x" * 30_000), (b"", b"x" * 300_000), (b"\r100 %\rall is well", b"\r" + b"y" * 500)],
    ids=["short", "long", "huge", "an earlier frame"],
)
def test_shows_hit_with_context(admin, operation, text, lead):
    factories.output(operation, b"first\n", lead + b" before it the needle after it " + text + b"\n", b"last\n")
    page = get(admin, f"/operations/{operation.pk}/log/search/?q=needle")
    assert "1 hit" in page
    link, shown = re.search(r'<li>\s*<a href="([^"]*)"[^>]*>2</a>\s*<code>([^<]*)</code>', page).groups()
    assert "before it the needle after it" in shown and len(shown) < 400
    assert (shown[0] == "…") == (len(lead) > 60)
    opened = get(admin, f"/operations/{operation.pk}/log/" + link.replace("&amp;", "&").partition("#")[0])
    assert "before it the needle after it" in opened


@pytest.mark.found("output")
def test_hit_in_shown_part_has_plain_link(admin, operation):
    factories.output(operation, b"a needle\n", b"old needle\rnew needle\n", b"the needle\rgone\n")
    page = get(admin, f"/operations/{operation.pk}/log/search/?q=needle")
    assert "4 hits" in page and 'data-hits="1,2,3"' in page
    assert re.search(r'data-places=",,\d+"', page), "only the last is in no last frame"


@pytest.mark.found("output")
def test_rewritten_lines_read_no_more(admin, operation, cost):
    factories.output(operation, b"10 %\r20 %\rdone\n" * 280)
    many = cost(admin, f"/operations/{operation.pk}/log/")
    Output.objects.all().delete()
    factories.output(operation, b"10 %\r20 %\rdone\n")
    assert many <= cost(admin, f"/operations/{operation.pk}/log/") + 1
