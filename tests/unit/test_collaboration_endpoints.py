"""Addresses of stores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.collaboration.store_endpoints import find_endpoint_problem, normalize_endpoint


@pytest.mark.parametrize(
    "url",
    [
        *("https://s3.example.org", "http://127.0.0.1:8333", "http://minio.store.svc:9000/"),
        *("https://example.org/storage/v1/s3", "HTTPS://S3.EXAMPLE.ORG", "http://[::1]:8333"),
    ],
)
def test_addresses(url: str) -> None:
    assert find_endpoint_problem(url) is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "begins with"),
        ("s3.example.org", "begins with"),
        ("ftp://s3.example.org", "begins with"),
        ("file:///etc/passwd", "begins with"),
        ("https://", "not an address"),
        ("https:///path", "not an address"),
        ("https://s3.example.org:port", "not an address"),
        ("https://s3.example.org:99999", "not an address"),
        ("https://[::1", "not an address"),
        ("https://s3.example.org/{user}", "not an address"),
        ("https://s3.example.org/a b", "not an address"),
        ("https://s3.example.org\n", "not an address"),
        ("https://s3.exämple.org", "not an address"),
        ("https://me:hunter2@s3.example.org", "credentials"),
        ("https://hunter2@s3.example.org", "credentials"),
        ("https://s3.example.org?token=hunter2", "no '?'"),
        ("https://s3.example.org/?", "no '?'"),
        ("https://s3.example.org/#hunter2", "no '?'"),
    ],
)
def test_no_addresses(url: str, says: str) -> None:
    problem = find_endpoint_problem(url)
    assert problem is not None
    assert says in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "https://s3.amazonaws.com"),
        (None, "https://s3.us-west-2.amazonaws.com"),
        (None, "https://lab.s3.us-west-2.amazonaws.com/"),
        ("https://s3.example.org", "https://s3.example.org/"),
        ("https://s3.example.org", "http://S3.example.org:80"),
        ("https://s3.example.org", "https://s3.example.org.:443"),
    ],
)
def test_the_same_service(one: str | None, other: str | None) -> None:
    assert normalize_endpoint(one) == normalize_endpoint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "https://s3.example.org"),
        (None, "https://amazonaws.com.example.org"),
        (None, "https://evilamazonaws.com"),
        ("http://127.0.0.1:8333", "http://127.0.0.1:8334"),
        ("https://example.org/a", "https://example.org/b"),
    ],
)
def test_other_services(one: str | None, other: str | None) -> None:
    assert normalize_endpoint(one) != normalize_endpoint(other)


@given(st.text() | st.text(st.sampled_from("htps:/.@?#[]:09a{} %\n")).map("https://".__add__))
def test_every_text_is_an_address_or_refused(url: str) -> None:
    normalize_endpoint(url)
    if find_endpoint_problem(url) is None:
        assert url.lower().startswith(("http://", "https://"))
        assert not set(url) & set("@?#{}\\\"' \n%")
