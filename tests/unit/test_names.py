"""Safe names: slugs, prefixes, buckets and locations."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from panneuro_hub.names import StorageLocation, find_prefix_problem, is_bucket, is_name, make_slug

# Kubernetes: syntax of label values.
LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
SAFE_SEGMENT = re.compile(r"[A-Za-z0-9._=+@,-]+")

segments = st.from_regex(SAFE_SEGMENT, fullmatch=True).filter(lambda text: text not in (".", ".."))
prefixes = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/".join(parts) + "/")
# Text near the edge of what is allowed: mostly good characters, now and then a bad one.
near_prefixes = st.text(st.sampled_from("aB0._=+@,-///..*?$[]{}\\%<>\"'`\x00\n\x7f\x85 é\u2028"))
logins = st.text() | st.text(st.sampled_from("aAbB01-_.@/ é"), max_size=80)


@pytest.mark.parametrize("text", ["a", "9", "navigation-lab", "a--b", "a" * 63])
def test_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "a b", "*", "a\n", "é", "٣", "a" * 64]
)
def test_no_names(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize("text", ["lab", "learning-circuits", "data.lab.example", "0ab", "a" * 63])
def test_buckets(text: str) -> None:
    assert is_bucket(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ab", "a" * 64, "Lab", "la_b", "-lab", "lab-", ".lab", "la..b", "lab/a", "l*b"),
        *("lab\n", "192.168.0.1", "lab:x", "läb"),
    ],
)
def test_no_buckets(text: str) -> None:
    assert not is_bucket(text)


# Slugs


@given(logins, logins)
def test_different_texts_have_different_slugs(one: str, other: str) -> None:
    assume(one != other)
    assert make_slug(one) != make_slug(other)
    assert make_slug(one, 24) != make_slug(other, 24)


@given(logins)
def test_no_text_has_the_slug_of_its_slug(text: str) -> None:
    """Who names themself as another's slug does not get there."""
    made = make_slug(text)
    if made != text:
        assert make_slug(made) != made


@given(logins)
def test_what_looks_alike_has_different_slugs(text: str) -> None:
    alike = {text, text.lower(), text.upper(), text + " ", unicodedata.normalize("NFKC", text)}
    assert len({make_slug(each) for each in alike}) == len(alike)


@given(logins, st.integers(24, 63))
def test_slugs_are_labels_and_segments(text: str, limit: int) -> None:
    made = make_slug(text, limit)
    assert LABEL_VALUE.fullmatch(made)
    assert is_name(made)
    assert len(made) <= limit
    assert find_prefix_problem(f"{made}/") is None


def test_slugs() -> None:
    """Folders of people are named so: a change here moves them."""
    assert make_slug("rotating-student") == "rotating-student"
    assert (
        make_slug("Rotating.Student@uni.example")
        == "rotating-student-uni-example--01358251268672ec"
    )
    assert make_slug("a--b") == "a-b--90827a2e56361a8f"
    assert make_slug("") == "x--e3b0c44298fc1c14"
    assert make_slug("..") == "x--5ec1f7e700f37c3d"
    assert make_slug("x" * 64) == "x" * 45 + "--" + "7ce100971f64e700"


def test_slug_of_half_a_character() -> None:
    assert make_slug("\ud800") != make_slug("\ud801")


def test_slug_needs_room_for_the_hash() -> None:
    assert len(make_slug("Ö" * 99, 24)) <= 24
    with pytest.raises(ValueError, match="24 or more"):
        make_slug("a", 23)


# Prefixes


@pytest.mark.parametrize("text", ["a/", "labs/a/raw/", "A_b.c=1+x@y,z-0/", ".a/", "a../", "..a/"])
def test_prefixes(text: str) -> None:
    assert find_prefix_problem(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "an empty prefix would be the whole bucket; name a folder such as 'my-project/'"),
        ("/a/", "'/a/' starts with '/'; write 'a/'"),
        ("/", "'/' would be the whole bucket; name a folder such as 'my-project/'"),
        ("a", "'a' does not end in '/', so it would match other names too; write 'a/'"),
        ("a//b/", "'a//b/' has '//' in it; write one '/'"),
        ("a//", "'a//' has '//' in it; write one '/'"),
        ("a/../b/", "'a/../b/' has a '.' or '..' segment; write the path it leads to"),
        ("../", "'../' has a '.' or '..' segment; write the path it leads to"),
        ("a/./", "'a/./' has a '.' or '..' segment; write the path it leads to"),
        ("a b/", "'a b/': 'a b' may have letters, digits and . _ = + @ , - only"),
        ("é/", "'é/': 'é' may have letters, digits and . _ = + @ , - only"),
        ("a\u202eb/", "'a\\u202eb/': 'a\\u202eb' may have letters, digits and"),
        ("a\x85b/", "'a\\x85b/' has a control character in it; use letters, digits and"),
        ("a\nb/", "'a\\nb/' has a control character in it; use letters, digits and"),
        ("a*/", "'a*/' has * in it, which a storage policy could take for a pattern"),
        ("${aws:x}/", "'${aws:x}/' has $ { } in it, which a storage policy could take for"),
        ("a%2e/", "'a%2e/' has % in it, which a storage policy could take for"),
        ("a" * 512 + "/", "this prefix has 513 characters; write 512 at most"),
    ],
)
def test_no_prefixes(text: str, says: str) -> None:
    problem = find_prefix_problem(text)
    assert problem is not None
    assert problem.startswith(says)


@given(near_prefixes | st.text())
def test_prefixes_that_pass_are_plain(text: str) -> None:
    if find_prefix_problem(text) is None:
        assert text.endswith("/")
        assert not text.startswith("/")
        assert not {"", ".", ".."} & set(text[:-1].split("/"))
        assert not set(text) & set("*?$[]{}\\%<>\"'`\x7f")
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


@given(prefixes)
def test_plain_prefixes_pass(text: str) -> None:
    assume(len(text) <= 512)
    assert find_prefix_problem(text) is None


@given(near_prefixes | st.text())
def test_what_is_said_of_a_prefix_can_be_printed(text: str) -> None:
    assert (find_prefix_problem(text) or "").isprintable()


# Locations

buckets = st.from_regex(r"[a-z0-9]{3,10}", fullmatch=True)
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


@given(buckets, keys, st.sampled_from(["", "/"]))
def test_a_location_is_its_uri(bucket: str, key: str, end: str) -> None:
    place = StorageLocation(bucket, key + end)
    assert StorageLocation.parse(place.uri) == place


@given(st.text() | near_prefixes.map(lambda text: f"s3://lab/{text}"))
def test_every_uri_is_a_location_or_refused(uri: str) -> None:
    try:
        place = StorageLocation.parse(uri)
    except ValueError:
        return
    assert place.uri == uri
    assert not {"", ".", ".."} & set(place.key.removesuffix("/").split("/"))
    assert "/" not in place.bucket


@pytest.mark.parametrize(
    "uri",
    [
        *("", "s3:", "s3://", "s3://lab", "s3://lab/", "://lab/a", "lab/a", "s3:/lab/a"),
        *("s3:///a", "s3://lab//a", "s3://lab/a//b", "s3://lab/a//", "s3://lab/../a"),
        *("s3://lab/a/..", "s3://lab/a/../b/", "s3://lab/./a", "s3://lab/a\n"),
        *("s3://lab/a\x00b", "s3://la\nb/a", "s3://lab/a\x85"),
    ],
)
def test_no_locations(uri: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(uri))):
        StorageLocation.parse(uri)


@given(prefixes, keys)
def test_a_prefix_contains_what_is_below_it_and_itself(prefix: str, key: str) -> None:
    outer = StorageLocation("lab", prefix)
    assert outer.contains(StorageLocation("lab", prefix + key))
    assert outer.contains(outer)
    assert not outer.contains(StorageLocation("other", prefix + key))
    assert not outer.contains(StorageLocation("lab", prefix + key, scheme="gs"))
    assert not outer.contains(StorageLocation("lab", prefix.removesuffix("/")))
    assert not outer.contains(StorageLocation("lab", prefix.removesuffix("/") + key))


@given(prefixes, prefixes, keys)
def test_containing_is_an_order(one: str, other: str, key: str) -> None:
    a, b = StorageLocation("lab", one), StorageLocation("lab", other)
    if a.contains(b) and b.contains(a):
        assert a == b
    if a.contains(b) and b.contains(StorageLocation("lab", other + key)):
        assert a.contains(StorageLocation("lab", other + key))


def test_a_name_that_begins_alike_is_not_contained() -> None:
    team = StorageLocation.parse("s3://lab/teamA/")
    assert team.contains(StorageLocation.parse("s3://lab/teamA/x"))
    assert not team.contains(StorageLocation.parse("s3://lab/teamAB/x"))
    assert not team.contains(StorageLocation.parse("s3://lab/teamA"))
    assert not team.contains(StorageLocation.parse("s3://lab/teama/x"))


def test_an_object_contains_nothing() -> None:
    assert not StorageLocation.parse("s3://lab/a").contains(StorageLocation.parse("s3://lab/a"))
    assert not StorageLocation.parse("s3://lab/a").contains(StorageLocation.parse("s3://lab/a/b"))
