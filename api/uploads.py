"""multipart/form-data: fields and one file in one request. The file goes to the disk as it comes, never into memory."""

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
from access.problems import Problem, invalid
from microservice.packages.store import PIECE
from microservice.publishing.upload import MAX_BYTES

FORM = "multipart/form-data"
UPLOADS = turns.Each(settings.MAX_UPLOADS_PER_USER)
BESIDE = 64 * 1024  # bytes that the fields and the boundaries may have beside the file


def read_chunks(request: HttpRequest) -> None:
    """A body in chunks, which Django takes for an empty one, becomes one with a length. 413 for what is too large."""
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
    """A caller's turn to upload something. 429 where the caller has as many as one may have."""
    return turns.account_turn(
        UPLOADS,
        caller.account,
        Problem(
            429,
            "too_many_uploads",
            f"You upload {UPLOADS.most} packages at once already.",
            "Come back later.",
            headers={"Retry-After": "10"},
        ),
    )


def take_in(request: HttpRequest) -> None:
    """Reads the form, its file to the disk. What would be too large, or does not say its length, is refused unread."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isascii() or not length.isdigit():
        raise Problem(
            400,
            "bad_request",
            "multipart/form-data needs a Content-Length.",
            "A package in chunks is sent with PUT to …/package.",
        )
    if int(length) > MAX_BYTES + BESIDE:
        raise Problem(413, "too_large", f"A package has {MAX_BYTES // 1024**3} GiB at most.")
    request.upload_handlers = [TemporaryFileUploadHandler(request)]  # the caller is known and may publish
    fields(request)
    # ninja asks whether there is a body before it has it parsed: what it must not do is read a form into memory.
    request._body = FORM.encode()


def fields(request: HttpRequest) -> dict[str, Any]:
    """The form's texts by name. Raises a Problem: 400 for a broken form, 422 for NUL or a name that comes twice."""
    try:
        lists = list(request.POST.lists())
    except MultiPartParserError as error:
        raise Problem(400, "bad_request", "The body is not the multipart/form-data that it says.") from error
    for name, values in lists:
        if len(values) > 1:
            raise invalid(f"/{name}", "comes more than once")
        if "\0" in name or "\0" in values[0]:
            raise invalid(f"/{name}".replace("\0", ""), "must not contain NUL")
    return {name: values[0] for name, values in lists}


def file(request: HttpRequest, name: str) -> UploadedFile | None:
    """The form's only file, which must be called `name`; None where the request is no form. 422 for anything else."""
    if request.content_type != FORM:
        return None
    fields(request)
    found = request.FILES
    if set(found) != {name} or len(found.getlist(name)) != 1:
        raise invalid(
            f"/{name}",
            "must be there, once, and the only file",
            hint=f"Send it as a part called {name} with a file name, or send JSON and the package after.",
        )
    one = found[name]
    assert isinstance(one, UploadedFile)
    return one


def digest(request: HttpRequest) -> bytes:
    """What the form holds, whatever its boundaries are: equal for equal forms."""
    whole = hashlib.sha256()
    parts = [(name, value.encode(errors="replace")) for name, value in sorted(fields(request).items())]
    for name, value in parts:
        whole.update(hashlib.sha256(name.encode(errors="replace")).digest() + hashlib.sha256(value).digest())
    for name, files in sorted(request.FILES.lists()):
        for one in files:
            content = hashlib.sha256()
            for piece in one.chunks(PIECE):
                content.update(piece)
            one.seek(0)
            whole.update(hashlib.sha256(name.encode(errors="replace")).digest() + content.digest())
    return whole.digest()
