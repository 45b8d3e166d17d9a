"""/images/: look into an image before it is used, and have the engine pull one."""

import json
import time
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, Router, Schema
from pydantic import StrictBool

from access import turns
from access.problems import Problem, refused
from integrations.docker import looking
from runtime.db_connections import release_connection

from .. import problem_json
from ..auth import caller, needs
from ..schemas import base

router = Router()
EVERY = 0.5  # seconds between two lines of progress
LINES = {"responses": {200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}}
PULL = (
    "Have the engine pull an image. Each line of the answer is a JSON object with a `state`: `pulling` with `layers`, "
    "`done`, `loaded` and `total` (bytes), and as the last line `done` with `image`, `id` and `already` (the engine "
    "had it), or `failed` with the `problem`. It may be repeated: what was loaded stays. Closing the connection ends "
    "the pull."
)


class ImageCheck(base.Body):
    image: base.Text = Field(description="Such as registry.example.com/team/base:1, or with @sha256:…")
    tools: StrictBool = Field(
        False, description="Whether to look into it, in a locked-down container; needs the right `build`"
    )


class ImagePull(base.Body):
    image: base.Text = Field(description="Such as registry.example.com/team/base:1, or with @sha256:…")


class ImagePlatform(Schema):
    name: str = Field(description="Such as linux/amd64")
    digest: str
    size: int | None = Field(description="Bytes to load; null: not told")


class ImageTool(Schema):
    path: str
    version: str


class ImageCheckOut(Schema):
    image: str = Field(description="The reference with its tag and its digest")
    pinned: str = Field(description="What runs: the name with its digest")
    digest: str
    size: int | None = Field(description="Bytes to load; null: it depends on the platform, or was not told")
    platforms: list[ImagePlatform]
    source: str = Field(description="Who was asked: `registry`, or `engine` for images elsewhere (right `build`)")
    tools: dict[str, ImageTool | None] | None = Field(
        description="sh, python, pip, conda and apt: null where the image does not have it; null altogether: not asked"
    )
    recipe: dict[str, Any] = Field(description="The beginning of a recipe on this base")


@router.post("/images/check", response=ImageCheckOut, summary="Look into an image")
@needs("publish", outside=True)
def check_image(request: HttpRequest, body: ImageCheck) -> dict[str, Any]:
    """Return an image's digest, size and platforms without a pull and, with `tools`, which tools are in it.

    The engine must have the image for `tools`: 409 `image_not_pulled` otherwise.
    """
    may_build = caller(request).may_anywhere("build")
    if body.tools and not may_build:
        raise refused("forbidden.scope", scope="build")
    release_connection()
    return serialize(looking.look(body.image, with_tools=body.tools, elsewhere=may_build))


@router.post("/images/pull", openapi_extra=LINES, description=PULL, summary="Pull an image to the engine")
@needs("build", outside=True)
def pull_image(request: HttpRequest, body: ImagePull) -> StreamingHttpResponse:
    if not turns.pulls.enter():
        raise refused("too_many_pulls", headers={"Retry-After": "10"}, max=turns.pulls.limit)
    try:
        lines = Lines(looking.Pull(body.image))
    except BaseException:
        turns.pulls.leave()
        raise
    response = StreamingHttpResponse(lines, content_type="application/x-ndjson; charset=utf-8")
    response["X-Accel-Buffering"] = "no"
    request.META.pop("HTTP_ACCEPT_ENCODING", None)  # a compressor would delay lines until it has enough of them
    release_connection()
    return response


class Lines:
    """The body of a pull: a class, for `close()` ends the pull also where no byte was ever read."""

    def __init__(self, pull: looking.Pull):
        self._pull, self._states = pull, pull.states()
        self._closed, self._sent = False, 0.0

    def __iter__(self) -> Iterator[bytes]:
        for state in self._states:
            if isinstance(state, Problem):
                yield _line({"state": "failed", "problem": problem_json.document(state)})
            elif state["state"] != "pulling" or time.monotonic() - self._sent >= EVERY:
                self._sent = time.monotonic()
                yield _line(state)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pull.close()
            self._states.close()
            turns.pulls.leave()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def serialize(look: looking.Look) -> dict[str, Any]:
    return {
        "image": str(look.reference),
        "pinned": look.reference.pinned,
        "digest": look.reference.digest,
        "size": look.size,
        "platforms": look.platforms,
        "source": look.source,
        "tools": look.tools,
        "recipe": look.recipe(),
    }
