"""/operations/{id}: an operation, and the output of its commands."""

import re
from collections.abc import Callable
from typing import TypeVar

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router

from access.downloads import Download
from access.problems import invalid, refused
from microservice.models import Operation
from microservice.output import encodings, logs, searching

from .. import lookup
from ..auth import caller, needs
from ..schemas import base, deployments

router = Router()
Answer = TypeVar("Answer", bound=HttpResponseBase)

RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
MAX_CHUNK = 8 * 1024 * 1024  # bytes of one answer to ?offset=
MAX_SEARCH_LENGTH = 200  # characters
# The IANA names of codecs that Python names differently.
MIME = {
    "cp932": "shift_jis",
    "cp949": "euc-kr",
    "euc_jp": "euc-jp",
    "iso8859-15": "iso-8859-15",
    "iso8859-2": "iso-8859-2",
    "iso8859-7": "iso-8859-7",
    "cp850": "ibm850",
    "cp866": "ibm866",
} | {f"cp{number}": f"windows-{number}" for number in range(1250, 1259)}
DESCRIPTION = """Return the output as text, with its original bytes. The charset of `Content-Type` is that of the
service or the host, UTF-8, or what is detected beyond doubt.

Without parameters the answer is the whole output; with a `Range` header, those bytes; with `offset`, the bytes from
there on, and `Next` (also in `X-Next-Offset`) is the offset of the next request: the same where there is nothing new.

`search` returns the lines that contain a text in any case, each as `offset:line`. Of a line over 2,000 bytes, the part
around the first hit is returned, with dots where text is missing, and the offset of that part. `X-Hits` counts every
hit. `Next` says where to continue if there are more lines, if the search took more than a few seconds, or if the same
caller started another one."""


@router.get("/operations/{id}", response=deployments.OperationOut, summary="Get an operation")
@needs("read")
def get_operation(request: HttpRequest, id: base.PathId) -> deployments.OperationOut:
    """Return an operation, with its steps."""
    operation = lookup.find_operation(caller(request), id)
    whole = Operation.objects.select_related("host", "from_version", "dest_version").prefetch_related("steps")
    return deployments.operation(whole.get(pk=operation.pk))


@router.get(
    "/operations/{id}/log",
    description=DESCRIPTION,
    openapi_extra={
        "responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        "parameters": [{"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "bytes=0-99"}],
    },
    summary="Get the log of an operation",
)
@needs("read")
def get_log(
    request: HttpRequest,
    id: base.PathId,
    offset: int | None = Query(None, ge=0, le=2**63 - 1, description="Offset in bytes"),
    limit: int = Query(1024 * 1024, ge=1, le=MAX_CHUNK, description="Maximum number of bytes, with offset"),
    search: str = Query("", max_length=MAX_SEARCH_LENGTH),
) -> HttpResponseBase:
    operation = lookup.find_operation(caller(request), id)
    size = logs.size(operation.pk)
    if offset is not None and offset > size:
        raise invalid("/query/offset", "offset_too_large", size=size)
    if search:
        with searching.search_slot(caller(request).account) as enough:
            return _search(operation, search, offset or 0, size, enough)
    if offset is not None:
        end = min(size, offset + limit)
        data = b"".join(logs.read(operation.pk, offset, end))
        return _next(_plain(HttpResponse(data), encodings.of_data(operation, data)), id, end)
    stretch = _range(request.headers.get("Range", ""), size)
    start, end = stretch or (0, size)
    whole = Download(logs.read(operation.pk, start, end), caller(request).account)
    response = _plain(StreamingHttpResponse(whole, status=206 if stretch else 200), encodings.of_all(operation))
    response["Accept-Ranges"] = "bytes"
    response["Content-Length"] = str(end - start)
    if stretch:
        # Compressed, the bytes would not be those that the range names.
        request.META.pop("HTTP_ACCEPT_ENCODING", None)
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def _search(operation: Operation, text: str, start: int, end: int, enough: Callable[[], bool]) -> HttpResponse:
    if any(ord(character) < 32 and character != "\t" for character in text):
        raise invalid("/query/search", "search_term")
    encoding = encodings.of_all(operation)
    result = logs.search(operation.pk, logs.SearchTerm(text, encoding), start, end, enough=enough)
    response = _plain(HttpResponse(b"".join(map(_line, result.lines, result.places))), encoding)
    response["X-Hits"] = str(result.hits)
    response["X-Lines"] = str(len(result.lines))
    return response if result.next_offset is None else _next(response, operation.pk, result.next_offset)


def _line(line: tuple[int, bytes], place: tuple[int, int, bool, bool]) -> bytes:
    """Return `offset:line`; of a long line, the part around the hit between dots."""
    (offset, data), (_, before, more, _) = line, place
    return b"%d:%s%s%s\n" % (offset + before, b"..." if before else b"", data, b"..." if more else b"")


def _plain(response: Answer, encoding: str) -> Answer:
    """Mark the output as plain text, which no browser may interpret otherwise: it may be hostile. The bytes are the
    original ones; the header names their charset."""
    response["Content-Type"] = f"text/plain; charset={MIME.get(encoding, encoding or 'utf-8')}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _next(response: HttpResponse, operation_id: int, offset: int) -> HttpResponse:
    response["Next"] = response["X-Next-Offset"] = str(offset)
    response["Link"] = f'</api/v1/operations/{operation_id}/log?offset={offset}>; rel="next"'
    return response


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return the start and end of a Range header; None for the whole log: RFC 9110 has an invalid header ignored.

    Raise 416 where the log has no byte of the range.
    """
    match = RANGE.match(header.strip())
    first, last = match.groups() if match else ("", "")
    if not (first or last) or (first and last and int(first) > int(last)):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise refused("range_not_satisfiable", headers={"Content-Range": f"bytes */{size}"}, size=size)
    return start, end
