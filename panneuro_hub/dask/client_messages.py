"""What clients and schedulers send to the gateway, read as data; pure.

Schedulers run people's own code: what they say is as untrusted as what people send.
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

_WORKERS = ("active_workers", "closing_workers", "closed_workers")
_ADDRESSES = {"scheduler_address": "tls", "dashboard_address": "http", "api_address": "http"}


@dataclass(frozen=True)
class AdaptRequest:
    """How a cluster shall adapt; `None` where the person leaves it open."""

    minimum: int | None
    maximum: int | None
    active: bool


def read_scale(message: Mapping[str, Any]) -> int:
    """How many workers are asked for.

    Raises
    ------
    InvalidChoiceError
        If it is not a number of workers.
    """
    return _read_worker_count("count", message.get("count"))


def read_adapt(message: Mapping[str, Any]) -> AdaptRequest:
    """How a cluster shall adapt.

    Raises
    ------
    InvalidChoiceError
        If a value is not what it must be, or the least is more than the most.
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
    """How many workers a scheduler wants.

    Raises
    ------
    InvalidChoiceError
        If the message is not one of dask-gateway's schedulers.
    """
    if not isinstance(message, Mapping):
        raise InvalidChoiceError("a heartbeat must be an object")
    for name in _WORKERS:
        workers = message.get(name)
        if not isinstance(workers, list) or not all(isinstance(one, str | int) for one in workers):
            raise InvalidChoiceError(f"{name} must be a list of names")
    for name in _ADDRESSES:
        if not isinstance(message.get(name), str):
            raise InvalidChoiceError(f"{name} must be text")
    count = message.get("count")
    if not _is_whole(count) or count < 0:
        raise InvalidChoiceError("count must be a whole number, 0 or more")
    return count


def require_loopback(message: Mapping[str, Any]) -> None:
    """Refuse a heartbeat whose addresses are not of this machine's loopback.

    The gateway asks these addresses itself, and shows one of them to people.

    Raises
    ------
    InvalidChoiceError
        If one of them is.
    """
    for name, scheme in _ADDRESSES.items():
        address = message[name]
        if not (is_loopback(address, scheme) or (name == "dashboard_address" and address == "")):
            raise InvalidChoiceError(f"{name} must be an address of this machine's loopback")


def is_loopback(address: str, scheme: str) -> bool:
    """Whether `address` is ``scheme://HOST:PORT`` on loopback and nothing more."""
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
