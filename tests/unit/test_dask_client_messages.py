"""What clients and schedulers send, read as data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.dask import client_messages
from panneuro_hub.dask.client_messages import AdaptRequest
from panneuro_hub.errors import InvalidChoiceError

HEARTBEAT = {
    "scheduler_address": "tls://127.0.0.1:41000",
    "dashboard_address": "http://127.0.0.1:41001",
    "api_address": "http://127.0.0.1:41002",
    "count": 2,
    "active_workers": ["a", "b"],
    "closing_workers": [],
    "closed_workers": [],
}
NO_NUMBERS = [-1, 1.5, "3", None, True, [], {}, 10**12, float("nan"), 10_001]


@pytest.mark.parametrize("count", NO_NUMBERS)
def test_no_number_of_workers(count: Any) -> None:
    with pytest.raises(
        InvalidChoiceError, match="count must be a whole number of workers from 0 to"
    ):
        client_messages.read_scale_request({"count": count})
    with pytest.raises(InvalidChoiceError, match="count must be"):
        client_messages.read_scale_request({})


def test_numbers_of_workers() -> None:
    assert [client_messages.read_scale_request({"count": count}) for count in (0, 7, 10_000)] == [
        0,
        7,
        10_000,
    ]


def test_adapt() -> None:
    assert client_messages.read_adapt_request({}) == AdaptRequest(None, None, True)
    asked = {"minimum": 1, "maximum": 4, "active": False}
    assert client_messages.read_adapt_request(asked) == AdaptRequest(1, 4, False)
    for number in NO_NUMBERS:
        if number is not None:
            with pytest.raises(InvalidChoiceError, match="maximum must be a whole number"):
                client_messages.read_adapt_request({"maximum": number})
    with pytest.raises(InvalidChoiceError, match="minimum 5 is more than maximum 4"):
        client_messages.read_adapt_request({"minimum": 5, "maximum": 4})
    with pytest.raises(InvalidChoiceError, match="active must be true or false"):
        client_messages.read_adapt_request({"active": 1})


def test_a_heartbeat() -> None:
    assert client_messages.read_heartbeat(HEARTBEAT) == 2
    client_messages.require_loopback(HEARTBEAT)
    client_messages.require_loopback({**HEARTBEAT, "dashboard_address": ""})


@pytest.mark.parametrize("key", HEARTBEAT)
@pytest.mark.parametrize("value", [None, 1.5, {}, [[]], -1, True])
def test_a_forged_heartbeat(key: str, value: Any) -> None:
    with pytest.raises(InvalidChoiceError, match=key):
        client_messages.read_heartbeat({**HEARTBEAT, key: value})
    with pytest.raises(InvalidChoiceError):
        client_messages.read_heartbeat(
            {name: said for name, said in HEARTBEAT.items() if name != key}
        )


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.1:80",
        "http://hub:8081",
        "http://127.0.0.1:80/hub/api",
        "http://127.0.0.1:80@evil.example:80",
        "http://evil@127.0.0.1:80",
        "http://127.0.0.1",
        "http://127.0.0.1:x",
        "https://127.0.0.1:80",
        "http://127.0.0.1:80?x",
        "http://[::ffff:10.0.0.1]:80",
        "file:///etc/passwd",
        "http://localhost.evil.example:80",
    ],
)
@pytest.mark.parametrize("key", ["dashboard_address", "api_address", "scheduler_address"])
def test_addresses_elsewhere_are_refused(key: str, address: str) -> None:
    with pytest.raises(InvalidChoiceError, match=f"{key} must be a loopback address"):
        client_messages.require_loopback({**HEARTBEAT, key: address})


def test_loopback_in_either_family() -> None:
    assert client_messages.is_loopback("http://[::1]:8787", "http")
    assert client_messages.is_loopback("tls://127.0.0.1:8787", "tls")


@given(st.text() | st.from_regex(r"http://[^/]{0,20}:[0-9]{0,6}.{0,5}"))
def test_any_address_is_judged(address: str) -> None:
    client_messages.is_loopback(address, "http")
