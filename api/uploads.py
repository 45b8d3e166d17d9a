"""multipart/form-data: fields and one file in one request. The file is streamed to the disk, never held in memory."""

import hashlib
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from access import turns
from access.callers import Caller
from access.problems import invalid, refused
from microservice.packages.store import PIECE
from microservice.publishing.upload import MAX_BYTES
from runtime.ids import parse_number

FORM = "multipart/form-data"
UPLOADS = turns.TurnsPerCaller(settings.MAX_UPLOADS_PER_USER)
MAX_FIELDS_SIZE = 64 * 1024  # bytes of the fields and the boundaries, beside the file


def read_chunks(request: HttpRequest) -> None:
    """Read a chunked body, which Django takes for an empty one, and set its length. 413 where it is too large."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if not chunked or not request.META.get("wsgi.input_terminated") or request.content_type == FORM:
        return
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = request.META["wsgi.input"].read(most + 1)
    if len(body) > most:
        raise RequestDataTooBig
    request._body = body
    request.META["CONTENT_LENGTH"] = str(len(body))


def turn(caller: Caller) -> AbstractContextManager[None]:
    """Return a caller's turn to upload. 429 where the caller already has as many uploads as allowed."""
    return turns.account_turn(
        UPLOADS,
        caller.account,
        refused("too_many_uploads", headers={"Retry-After": "10"}, max=UPLOADS.limit),
    )


def read_form(request: HttpRequest) -> None:
    """Read the form, its file to the disk. One that is too large or does not name its length is refused unread."""
    length = parse_number(request.META.get("CONTENT_LENGTH") or "")
    if length is None:
        raise refused("bad_request.form_length")
    if length > MAX_BYTES + MAX_FIELDS_SIZE:
        raise refused("too_large.form", max=MAX_BYTES // 1024**3)
    request.upload_handlers = [TemporaryFileUploadHandler(request)]  # the caller is known and may publish
    fields(request)
    # ninja reads `body` to see whether there is one before it parses it, which would read the form into memory.
    request._body = FORM.encode()


def fields(request: HttpRequest) -> dict[str, Any]:
    """Return the form's fields by name. 400 for an invalid form, 422 for NUL or a repeated name."""
    try:
        lists = list(request.POST.lists())
    except MultiPartParserError as error:
        raise refused("bad_request.form") from error
    for name, values in lists:
        if len(values) > 1:
            raise invalid(f"/{name}", "form_repeated")
        if "\0" in name or "\0" in values[0]:
            raise invalid(f"/{name}".replace("\0", ""), "nul")
    return {name: values[0] for name, values in lists}


def file(request: HttpRequest, name: str) -> UploadedFile | None:
    """Return the form's only file, which must be called `name`; None for a request without a form. Else 422."""
    if request.content_type != FORM:
        return None
    fields(request)
    files = request.FILES
    if set(files) != {name} or len(files.getlist(name)) != 1:
        raise invalid(f"/{name}", "form_file", name=name)
    uploaded = files[name]
    assert isinstance(uploaded, UploadedFile)
    return uploaded


def digest(request: HttpRequest) -> bytes:
    """Return a digest of the form's content, whatever its boundaries: equal for equal forms."""
    whole = hashlib.sha256()
    parts = [(name, value.encode(errors="replace")) for name, value in sorted(fields(request).items())]
    for name, value in parts:
        whole.update(hashlib.sha256(name.encode(errors="replace")).digest() + hashlib.sha256(value).digest())
    for name, files in sorted(request.FILES.lists()):
        for uploaded in files:
            content = hashlib.sha256()
            for piece in uploaded.chunks(PIECE):
                content.update(piece)
            uploaded.seek(0)
            whole.update(hashlib.sha256(name.encode(errors="replace")).digest() + content.digest())
    return whole.digest()
