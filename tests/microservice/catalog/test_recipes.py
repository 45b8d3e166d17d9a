"""What a recipe may be, and where each thing that is wrong with one is said to be."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microservice.catalog import dockerfile, recipes

HOSTILE = [
    "a\nRUN rm -rf /",
    'a" b',
    "$HOME ${X} $(id)",
    "\\",
    "a\\",
    "'",
    "# x",
    "<<EOF",
    "中文 🐧",
    "\x00",
    "\ud800",
    "`id`",
]
FULL = {
    "base": "registry.example:5000/team/base:1.2",
    "maintainer": "Shop <shop@example.com>",
    "python": {"version": "3.11"},
    "apt": {"sources": ["deb [arch=amd64] https://deb.example/debian bookworm main"], "packages": ["curl", "g++"]},
    "pip": {
        "index": "https://pypi.example/simple",
        "packages": ["flask==3.0", "uvicorn[standard]>=0.20; python_version > '3'"],
    },
    "conda": {"channels": ["conda-forge"], "packages": ["numpy=1.26"]},
    "files": [{"path": "/etc/shop.conf", "text": "a = $HOME\n", "mode": "0600"}, {"path": "/app/", "from": "src"}],
    "env": {"MODE": 'it\'s "$HOME" \\ # <<EOF 中文'},
    "run": ["echo one &&\necho $HOME", "true"],
    "user": "app:app",
    "workdir": "/app",
    "expose": [8080, "53/udp"],
    "entrypoint": ["/bin/shop", "--name=$X"],
    "cmd": ["serve <<EOF"],
}


def pointers(recipe: object, **more) -> list[str]:
    return [error.pointer for error in recipes.errors(recipe, **more)]


def test_a_whole_recipe_is_right():
    assert pointers(FULL) == []
    assert recipes.normalised(FULL) == FULL


def test_everything_wrong_is_said_at_once():
    wrong = {
        "base": "Not An Image",
        "apt": {"packages": ["curl", "-o=Dir::Etc=/x", "libc6-"], "keys": []},
        "pip": {"packages": ["--proxy=http://x"], "index": "ftp://x"},
        "files": [{"path": "etc/x", "text": "a"}, {"path": "/a/../b", "from": "../../etc"}, {"path": "/x"}],
        "env": {"A-B": "x", "C": 1},
        "run": [""],
        "expose": [0, True, "80/icmp", 70000],
        "cmd": "sleep 1",
        "vol/umes": [],
    }
    assert pointers(wrong) == [
        "/recipe/base",
        "/recipe/apt/packages/1",
        "/recipe/apt/packages/2",
        "/recipe/apt/keys",
        "/recipe/pip/packages/0",
        "/recipe/pip/index",
        "/recipe/files/0/path",
        "/recipe/files/1/path",
        "/recipe/files/1/from",
        "/recipe/files/2",
        "/recipe/env/A-B",
        "/recipe/env/C",
        "/recipe/run/0",
        "/recipe/expose/0",
        "/recipe/expose/1",
        "/recipe/expose/2",
        "/recipe/expose/3",
        "/recipe/cmd",
        "/recipe/vol~1umes",
    ]


@pytest.mark.parametrize("recipe", [None, [], "x", 1, {"run": ["true"]}, {"base": None}, {"base": ["x"]}])
def test_what_is_no_recipe(recipe):
    assert pointers(recipe)


PLACES = {
    "apt": lambda text: {"apt": {"packages": [text]}},
    "path": lambda text: {"files": [{"path": f"/{text}", "text": ""}]},
    "from": lambda text: {"files": [{"path": "/x", "from": text}]},
    "user": lambda text: {"user": text},
    "workdir": lambda text: {"workdir": f"/{text}"},
    "base": lambda text: {"base": f"debian:{text}"},
    "expose": lambda text: {"expose": [f"80{text}"]},
}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("place", PLACES)
def test_hostile_texts_are_refused_where_a_dockerfile_would_read_them(place, value):
    assert pointers({"base": "debian:12"} | PLACES[place](value))


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_arguments_stay_one_word_each(value):
    recipe = {"base": "debian:12", "cmd": ["x", value], "run": [value]}
    if pointers(recipe):
        assert value in ("\x00", "\ud800")
        return
    lines = dockerfile.render(recipe).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["#", "FROM", "RUN", "CMD"]
    assert json.loads(lines[2].removeprefix("RUN ")) == ["/bin/sh", "-c", value]
    assert json.loads(lines[3].removeprefix("CMD ")) == ["x", value]


def test_credentials_in_addresses_are_refused():
    recipe = {
        "base": "debian:12",
        "pip": {"index": "https://me:secret@pypi.example/simple", "packages": ["a @ https://t0ken@x/a.whl"]},
        "run": ["curl https://me:secret@x/"],
    }
    errors = recipes.errors(recipe)
    assert {error.reason.code for error in errors} == {"recipe_credentials"}
    assert len(errors) == 3


def test_files_of_a_repository_need_one():
    assert pointers(FULL, has_repository=False) == ["/recipe/files/1/from"]


def test_what_is_empty_is_left_out():
    given = {"base": "debian:12", "apt": {"packages": [], "sources": []}, "env": {}, "run": ["a\r\nb"], "user": ""}
    assert recipes.normalised(given) == {"base": "debian:12", "run": ["a\nb"]}
    assert recipes.is_base_only(recipes.normalised({"base": "debian:12", "cmd": []}))
    assert not recipes.is_base_only({"base": "scratch"})


def test_the_dockerfile_of_a_whole_recipe():
    text = dockerfile.render(FULL, "registry.example:5000/team/base@sha256:" + "a" * 64)
    assert text.splitlines()[:4] == [
        "# From the recipe, with the base registry.example:5000/team/base:1.2",
        "FROM registry.example:5000/team/base@sha256:" + "a" * 64,
        'LABEL maintainer="Shop <shop@example.com>"',
        r'''ENV MODE="it's \"\$HOME\" \\ # <<EOF 中文"''',
    ]
    assert text.index("USER 0") < text.index("apt-get") < text.index('"pip"') < text.index('"/bin/sh", "-c", "echo')
    assert text.endswith(
        'EXPOSE 8080 53/udp\nUSER app:app\nENTRYPOINT ["/bin/shop", "--name=$X"]\nCMD ["serve \\u003c\\u003cEOF"]\n'
    )
    assert [(file.name, file.mode) for file in dockerfile.context_files(FULL)] == [
        (".deployer-image/files/0", 0o600),
        (".deployer-image/sources.list", 0o644),
    ]


def test_no_line_is_longer_than_an_engine_reads():
    recipe = {
        "base": "debian:12",
        "run": ["\x01" * recipes.MAX_COMMAND, "🐧" * recipes.MAX_COMMAND],
        "apt": {"packages": ["a" * 200] * recipes.MAX_ENTRIES},
        "cmd": ["\x01" * recipes.MAX_VALUE] * 20,
    }
    assert pointers(recipe) == []
    assert max(len(line.encode()) for line in dockerfile.render(recipe).split("\n")) < 65_535


# --- whatever is sent -------------------------------------------------------------------------------------------------

TEXTS = st.one_of(st.text(max_size=12), st.sampled_from([*HOSTILE, "debian:12", "curl", "/app", "src", "3.11", "0644"]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 70000), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(TEXTS, st.sampled_from(["path", "text", "from", "version", "packages"])), inner, max_size=3
        ),
    ),
    max_leaves=8,
)
WORDS = {"FROM", "LABEL", "ENV", "USER", "COPY", "RUN", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(FULL)), TEXTS), VALUES, max_size=5))
@settings(max_examples=300, database=None)
def test_nothing_breaks_the_check(recipe):
    recipes.errors(recipes.normalised(recipe))


@given(
    st.fixed_dictionaries(
        {"base": st.just("debian:12")},
        optional={
            "env": st.dictionaries(st.sampled_from("ABC"), TEXTS),
            "run": st.lists(TEXTS, max_size=3),
            "cmd": st.lists(TEXTS, max_size=3),
            "maintainer": TEXTS,
            "user": TEXTS,
            "workdir": TEXTS,
            "files": st.lists(st.fixed_dictionaries({"path": TEXTS, "text": TEXTS}), max_size=2),
        },
    )
)
@example({"base": "debian:12", "run": ["a\x85b\u2028c"]})
@settings(max_examples=300, database=None)
def test_what_is_right_becomes_instructions_and_nothing_else(recipe):
    recipe = recipes.normalised(recipe)
    if recipes.errors(recipe):
        return
    # An engine knows no other ends of lines.
    lines = dockerfile.render(recipe).replace("\\\n", "").rstrip("\n").split("\n")[1:]
    assert {line.split(" ")[0] for line in lines} <= WORDS
    commands = [json.loads(line.removeprefix("RUN ")) for line in lines if line.startswith("RUN ")]
    assert commands == [["/bin/sh", "-c", command] for command in recipe.get("run", ())]
