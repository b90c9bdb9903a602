"""What browsers say of requests, as W3C's "Fetch Metadata Request Headers" has it."""

from __future__ import annotations

import pytest

from panneuro_hub.wire.browser_requests import (
    is_checked_script,
    is_cross_origin_return,
    is_from_server,
    is_page_view,
    is_same_origin_form,
)


def said(mode: str, kind: str, site: str = "same-origin") -> dict[str, str]:
    return {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": kind, "Sec-Fetch-Site": site}


@pytest.mark.parametrize(
    ("headers", "is_page", "is_form", "is_return"),
    [
        ({}, True, False, False),  # a program, or a browser over plain HTTP
        (said("navigate", "document"), True, True, False),
        (said("navigate", "document", "none"), True, False, False),
        (said("navigate", "document", "cross-site"), True, False, True),
        (said("navigate", "document", "same-site"), True, False, True),
        (said("navigate", "empty"), False, False, False),  # passed on by a service worker
        (said("navigate", "iframe"), False, False, False),
        (said("navigate", "iframe", "cross-site"), False, False, False),
        (said("cors", "empty"), False, False, False),
        (said("no-cors", "empty"), False, False, False),
        (said("same-origin", "empty"), False, False, False),
        (said("no-cors", "image"), False, False, False),
        (said("websocket", "websocket"), False, False, False),
    ],
)
def test_requests(headers: dict[str, str], is_page: bool, is_form: bool, is_return: bool) -> None:
    assert is_page_view(headers) is is_page
    assert is_same_origin_form(headers) is is_form
    assert is_cross_origin_return(headers) is is_return


def test_frames_are_pages_where_they_are_wanted() -> None:
    assert is_page_view(said("navigate", "iframe"), frames=True)
    assert not is_page_view(said("navigate", "embed"), frames=True)
    assert not is_page_view(said("cors", "iframe"), frames=True)


@pytest.mark.parametrize(
    ("mode", "checked"), [("cors", True), ("same-origin", True), ("no-cors", False), (None, False)]
)
def test_scripts_whose_token_is_looked_at(mode: str | None, checked: bool) -> None:
    assert is_checked_script({"Sec-Fetch-Mode": mode} if mode else {}) is checked


@pytest.mark.parametrize(
    ("method", "referer", "refused"),
    [
        ("POST", "https://h.example/user/ada/lab", True),
        ("DELETE", "https://h.example/user/ada/", True),
        ("GET", "https://h.example/user/ada/lab", False),
        ("POST", "https://h.example/hub/home", False),
        ("POST", "", False),
        ("POST", "https://h.example/base/user/ada/lab", False),
    ],
)
def test_requests_that_name_a_server_s_page(method: str, referer: str, refused: bool) -> None:
    assert is_from_server(method, {"Referer": referer}, "/") is refused


def test_a_server_s_page_below_another_base() -> None:
    headers = {"Referer": "https://h.example/base/user/ada/lab"}
    assert is_from_server("POST", headers, "/base/")
