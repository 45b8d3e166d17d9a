"""A service's links to its repository, its pipelines and its commits."""

import pytest

from microservice.catalog import links
from microservice.models import MicroService

HASH = "1a2b3c4d"


@pytest.mark.parametrize(
    ("field", "url", "code"),
    [
        ("repository_url", "javascript:alert(1)", "http_url"),
        ("repository_url", "ftp://git.example/shop", "http_url"),
        ("repository_url", "git.example/shop", "http_url"),
        ("ci_url", "https://", "http_url"),
        ("ci_url", "https://ci.example:99999/", "http_url"),
        ("ci_url", "https://ci.example/a b", "http_url"),
        ("ci_url", 'https://ci.example/"x', "http_url"),
        ("ci_url", "https://ann:secret@ci.example/", "link_userinfo"),
        ("ci_url", "https://ci.example/{commit}", "http_url"),
        ("commit_url", "https://git.example/shop/commit/", "commit_place"),
        ("commit_url", "javascript:{commit}", "http_url"),
        ("commit_url", "https://git.example/{hash}/{commit}", "http_url"),
        ("repository_url", "https://git.example/shop", ""),
        ("commit_url", "https://git.example/shop?id={commit}", ""),
        ("ci_url", "", ""),
    ],
)
def test_takes_http_and_https_only(field, url, code):
    found = links.errors(MicroService(**{field: url}))
    assert [(error.pointer, error.reason.code) for error in found] == ([(f"/{field}", code)] if code else [])


@pytest.mark.parametrize(
    ("fields", "repository", "commit", "branch"),
    [
        ({}, "", "", ""),
        ({"build_url": "https://git.example/shop.git"}, "", "", ""),
        (
            {"build_url": "https://github.com/acme/shop.git"},
            "https://github.com/acme/shop",
            f"https://github.com/acme/shop/commit/{HASH}",
            "https://github.com/acme/shop/tree/feature/a%20b",
        ),
        (
            {"build_url": "git@gitlab.example:acme/shop.git"},
            "https://gitlab.example/acme/shop",
            f"https://gitlab.example/acme/shop/-/commit/{HASH}",
            "https://gitlab.example/acme/shop/-/tree/feature/a%20b",
        ),
        ({"build_url": "https://ann:x@github.com/acme/shop"}, "", "", ""),
        (
            {"repository_url": "https://git.example/shop", "commit_url": "https://git.example/shop?id={commit}"},
            "https://git.example/shop",
            f"https://git.example/shop?id={HASH}",
            "",
        ),
    ],
)
def test_knows_where_things_are(fields, repository, commit, branch):
    service = MicroService(**fields)
    assert links.repository(service) == repository
    assert links.commit(service, HASH) == commit and links.branch(service, "feature/a b") == branch
    assert links.commit(service, "not a hash/../x") == ""


def test_finds_the_commit_in_a_name():
    assert links.commit_of("20260131120000-feature-42-1a2b3c4d") == "1a2b3c4d"
    assert links.commit_of("1.0") == "" and links.commit_of("1.0-rc1") == "" and links.commit_of("x-deadbeefg") == ""
