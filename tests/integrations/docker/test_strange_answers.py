"""Answers of another form than an engine's: each is an error of ours, never an accident."""

import json

import pytest

from access.problems import Problem
from builds import engine_images
from integrations.docker import containers, images, looking
from integrations.docker import engine as engines
from integrations.docker.errors import EngineFailed
from integrations.docker.images import BuildOptions
from integrations.images import reference

from .doors import answer, door, version
from .parts import part

STRANGE = ([], ["x"], {}, {"Id": 1}, {"errorDetail": "words"}, {"errorDetail": ["words"]}, {"error": 1}, [None], [[]])
IMAGE = reference.parse("r.example.com/x:1")


@pytest.mark.parametrize("value", STRANGE)
def test_streams(value):
    for call in (
        lambda engine: images.build(engine, b"", BuildOptions()),
        lambda engine: images.push(engine, "r.example.com/x", "1"),
    ):
        with door(version(), answer(json.dumps(value).encode() + b"\n")) as url:
            engine = engines.connect(part(url))
            with pytest.raises(EngineFailed):
                call(engine)


@pytest.mark.parametrize("value", STRANGE)
def test_short_answers(value):
    with door(version(), answer(json.dumps(value).encode())) as url:
        engine = engines.connect(part(url))
        with pytest.raises(EngineFailed):
            containers.run(engine, "base:1", ["true"], seconds=1)
        with pytest.raises(Problem):
            looking._told_by(engine, IMAGE, None, "/image")
        engine_images.tidy(engine, "shop", IMAGE)
        if value not in ([], {}):
            with pytest.raises(EngineFailed):
                containers.sweep(engine)
