"""Parsers for the messages that clients and schedulers send to the gateway; pure.

Schedulers run people's own code, so their messages are as untrusted as those of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from panneuro_hub.dask.quota import MAX_WORKERS
from panneuro_hub.errors import InvalidChoiceError
from panneuro_hub.phrases import shorten

_WORKER_LISTS = ("active_workers", "closing_workers", "closed_workers")
_ADDRESS_SCHEMES = {"scheduler_address": "tls", "dashboard_address": "http", "api_address": "http"}


@dataclass(frozen=True)
class AdaptRequest:
    """The limits within which a cluster adapts; `None` where the person sets no limit."""

    minimum: int | None
    maximum: int | None
    active: bool


def read_scale_request(message: Mapping[str, Any]) -> int:
    """Return the number of workers in a request to scale.

    Raises
    ------
    InvalidChoiceError
        If the message has no valid number of workers.
    """
    return _read_worker_count("count", message.get("count"))


def read_adapt_request(message: Mapping[str, Any]) -> AdaptRequest:
    """Return the limits in a request to adapt.

    Raises
    ------
    InvalidChoiceError
        If a value is invalid, or the minimum is more than the maximum.
    """
    limits = {
        name: None if message.get(name) is None else _read_worker_count(name, message[name])
        for name in ("minimum", "maximum")
    }
    active = message.get("active", True)
    if not isinstance(active, bool):
        raise InvalidChoiceError("active must be true or false")
    minimum, maximum = limits["minimum"], limits["maximum"]
    if minimum is not None and maximum is not None and minimum > maximum:
        raise InvalidChoiceError(f"minimum {minimum} is more than maximum {maximum}")
    return AdaptRequest(minimum, maximum, active)


def read_heartbeat(message: Any) -> int:
    """Return the number of workers that a scheduler requests.

    Raises
    ------
    InvalidChoiceError
        If dask-gateway's schedulers do not send such a message.
    """
    if not isinstance(message, Mapping):
        raise InvalidChoiceError("a heartbeat must be an object")
    for name in _WORKER_LISTS:
        workers = message.get(name)
        if not isinstance(workers, list) or not all(
            isinstance(worker, str | int) for worker in workers
        ):
            raise InvalidChoiceError(f"{name} must be a list of names")
    for name in _ADDRESS_SCHEMES:
        if not isinstance(message.get(name), str):
            raise InvalidChoiceError(f"{name} must be text")
    count = message.get("count")
    if not _is_whole(count) or count < 0:
        raise InvalidChoiceError("count must be a whole number, 0 or more")
    return count


def require_loopback(message: Mapping[str, Any]) -> None:
    """Refuse a heartbeat with an address outside the loopback interface of this machine.

    The gateway sends requests to these addresses, and shows one of them to people.

    Raises
    ------
    InvalidChoiceError
        If an address is not on loopback.
    """
    for name, scheme in _ADDRESS_SCHEMES.items():
        address = message[name]
        if not (is_loopback(address, scheme) or (name == "dashboard_address" and address == "")):
            raise InvalidChoiceError(f"{name} must be a loopback address of this machine")


def is_loopback(address: str, scheme: str) -> bool:
    """Return whether `address` is ``scheme://HOST:PORT`` on loopback, without a path."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        return (
            parts.scheme == scheme
            and host is not None
            and ip_address(host).is_loopback
            and bool(port)
            and address in (f"{scheme}://{host}:{port}", f"{scheme}://[{host}]:{port}")
        )
    except ValueError:
        return False


def _read_worker_count(name: str, value: Any) -> int:
    if not _is_whole(value) or not 0 <= value <= MAX_WORKERS:
        shown_value = shorten(value) if isinstance(value, str) else shorten(repr(value))[1:-1]
        raise InvalidChoiceError(
            f"{name} must be a whole number of workers from 0 to {MAX_WORKERS}, not {shown_value}"
        )
    return value


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
