"""Which hosts a selector of labels means, as text and as JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.problems import Problem
from asset import labels
from asset.models import Asset
from tests import factories

SELECTORS = st.dictionaries(
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._/-]{0,20}\Z"),
    st.none() | st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=20).map(str.strip),
    min_size=1,
    max_size=5,
)


@pytest.mark.pure
@given(SELECTORS)
def test_text_is_read_as_it_is_written(selector):
    assert labels.parse(labels.as_text(selector)) == selector


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", {}),
        ("  ", {}),
        ("zone=eu", {"zone": "eu"}),
        ("zone", {"zone": None}),
        ("zone=", {"zone": ""}),
        ("zone=eu rack=4", {"zone": "eu", "rack": "4"}),
        ("note='two words'", {"note": "two words"}),
        ("a/b.c=x=y", {"a/b.c": "x=y"}),
    ],
)
def test_texts(text, meant):
    assert labels.parse(text) == meant


@pytest.mark.pure
@pytest.mark.parametrize(
    "text",
    [
        "=eu",
        "zone='eu",
        "-x=1",
        "zö=1",
        "zone=eu zone=us",
        "zone zone=us",
        " ".join(f"n{at}" for at in range(11)),
        "a=" + "x" * 256,
    ],
)
def test_wrong_texts_are_refused_at_their_field(text):
    with pytest.raises(Problem) as caught:
        labels.parse(text, "/query/label")
    assert (caught.value.status, caught.value.errors[0]["pointer"]) == (422, "/query/label")


@pytest.mark.pure
@pytest.mark.parametrize("value", [None, {}, [], "zone=eu", {"zone": 1}, {"zone": ["eu"]}, {1: "eu"}, {"": "eu"}])
def test_wrong_values_are_refused(value):
    with pytest.raises(Problem) as caught:
        labels.check(value)
    assert caught.value.status == 422


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("zone=eu", {"a", "b"}),
        ("zone", {"a", "b", "c"}),
        ("zone=eu rack=4", {"b"}),
        ("0=x", {"c"}),
        ("a.b/c=dot", {"c"}),
        ("zone=EU", set()),
        ("none", set()),
        ("rack=", {"c"}),
    ],
)
def test_finds_hosts_alike_on_each_database(text, names):
    """Also where a name looks like an index or a path to a database."""
    hosts = dict(zip("abcd", factories.hosts(4), strict=True))
    for name, values in {
        "a": {"zone": "eu", "rack": "1"},
        "b": {"zone": "eu", "rack": "4"},
        "c": {"zone": "us", "0": "x", "a.b/c": "dot", "rack": ""},
        "d": {"zone2": "eu"},
    }.items():
        hosts[name].labels = values
        hosts[name].save()
    found = set(labels.find(labels.parse(text), Asset.objects.all()))
    assert found == {hosts[name].pk for name in names}


NAMES, VALUES = st.sampled_from("abc"), st.sampled_from(["", "1", "2"])


@pytest.mark.pure
@given(
    st.lists(st.dictionaries(NAMES, st.none() | VALUES, min_size=1)),
    st.lists(st.dictionaries(NAMES, VALUES)),
)
def test_counts_are_those_that_fit(selectors, hosts):
    expected = [sum(labels.fits(own, selector) for own in hosts) for selector in selectors]
    assert labels.counts(selectors, hosts) == expected
