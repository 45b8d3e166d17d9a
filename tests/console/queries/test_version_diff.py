"""What lies between two versions: commits from names, and the forge's own page."""

import pytest

from console.queries.version_diff import commit_of, commits, compare_link

pytestmark = pytest.mark.pure

OLD, NEW = "20261120101500-master-0a1b2c3", "20261121101500-feature-x-9f8e7d6c5b4a"


@pytest.mark.parametrize(
    ("name", "commit"),
    [
        (OLD, "0a1b2c3"),
        (NEW, "9f8e7d6c5b4a"),
        ("1.0", ""),
        ("20261120101500-master", ""),
        ("20261120101500-master-0a1b2c3;x", ""),
        ("20261120101500-master-zzzzzzz", ""),
    ],
)
def test_commit_of_version_name(name, commit):
    assert commit_of(name) == commit


def test_range_needs_two_commits():
    assert commits(OLD, NEW) == "0a1b2c3..9f8e7d6c5b4a"
    assert commits(OLD, OLD) == "" == commits("1.0", NEW)


@pytest.mark.parametrize(
    ("url", "origin", "link"),
    [
        ("https://github.com/team/shop", "git", "https://github.com/team/shop/compare/0a1b2c3...9f8e7d6c5b4a"),
        ("git@github.com:team/shop.git", "git", "https://github.com/team/shop/compare/0a1b2c3...9f8e7d6c5b4a"),
        (
            "https://me:secret@gitlab.com/team/shop.git",
            "git",
            "https://gitlab.com/team/shop/-/compare/0a1b2c3...9f8e7d6c5b4a",
        ),
        ("https://ci.inside:8443/a/b", "gitlab", "https://ci.inside:8443/a/b/-/compare/0a1b2c3...9f8e7d6c5b4a"),
        ("ssh://git@gitlab.inside:2222/a/b.git", "git", "https://gitlab.inside/a/b/-/compare/0a1b2c3...9f8e7d6c5b4a"),
        ("https://jenkins.inside/job/shop", "jenkins", ""),
        ("https://forge.inside/a/b", "git", ""),
        ("/srv/git/shop", "git", ""),
        ("file:///srv/git/shop", "gitlab", ""),
        ("javascript:alert(1)", "gitlab", ""),
        (
            'https://github.com/a"><script>/b',
            "git",
            "https://github.com/a%22%3E%3Cscript%3E/b/compare/0a1b2c3...9f8e7d6c5b4a",
        ),
        ("https://[bad", "gitlab", ""),
        ("", "gitlab", ""),
    ],
)
def test_compare_link_of_known_forges(url, origin, link):
    assert compare_link(url, origin, OLD, NEW) == link
