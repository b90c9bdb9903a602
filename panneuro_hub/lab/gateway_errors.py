"""Errors of dask-gateway's client, translated into one sentence each.

Nothing stays behind a translated error: an aiohttp error holds the request, and with it the
server's token, and pages of traceback say nothing to a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from json import JSONDecodeError
from typing import TypeVar

import aiohttp
from dask_gateway.client import GatewayClusterError, GatewayServerError
from distributed.client import ClosedClientError

from panneuro_hub.agent.service_client import to_printable
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError

Result = TypeVar("Result")

FOREIGN_ERRORS = (
    aiohttp.ClientError,
    GatewayClusterError,
    GatewayServerError,
    OSError,
    ValueError,
)
"""What dask-gateway's client raises for an answer of the gateway, and for no answer."""


class ClusterEndedError(PanNeuroError):
    """A cluster was closed or has ended; the text says why."""

    code = "cluster-ended"
    status = 409


class ClientClosedError(ClusterEndedError, ClosedClientError):
    """A client was used after it was closed, or after its cluster ended; the text says which."""

    code = "client-closed"


class ClusterNotFoundError(PanNeuroError):
    """No running cluster of this session's project has the name; the text lists the names."""

    code = "cluster-not-found"
    status = 404


def translate_errors(call: Callable[[], Result]) -> Result:
    """Call, and translate what dask-gateway's client raises."""
    try:
        return call()
    except FOREIGN_ERRORS as problem:
        plain = convert_error(problem)
    raise plain


async def translate_errors_of(awaitable: Awaitable[Result]) -> Result:
    """Await, and translate what dask-gateway's client raises."""
    try:
        return await awaitable
    except FOREIGN_ERRORS as problem:
        plain = convert_error(problem)
    raise plain


def convert_error(problem: Exception) -> PanNeuroError:
    """Return the error of ours that says the same."""
    if isinstance(problem, aiohttp.ClientResponseError):
        return _answered(problem.status, to_printable(problem.message))
    if isinstance(problem, GatewayServerError | GatewayClusterError):
        return ServiceUnavailableError(f"the Dask gateway says: {to_printable(str(problem))}")
    if isinstance(problem, aiohttp.ClientError | OSError | JSONDecodeError):
        reason = to_printable(str(problem)) or type(problem).__name__
        return ServiceUnavailableError(
            f"the Dask gateway cannot be reached ({reason}); try again in a minute"
        )
    words = str(problem)
    if words.lstrip().startswith("<"):  # a page, of a hub or a proxy
        return ServiceUnavailableError(
            "what answers at DASK_GATEWAY__ADDRESS is no Dask gateway, or it is not running"
        )
    return AccessDeniedError(to_printable(words))


def _answered(status: int, words: str) -> PanNeuroError:
    if status == 401:
        return AccessDeniedError(
            "the Dask gateway does not know this server's person any more; stop your server, "
            "and start it again from the hub"
        )
    if status < 500:
        return AccessDeniedError(f"the Dask gateway refuses this: {words}")
    return ServiceUnavailableError(
        f"the Dask gateway answers {status} ({words}); try again in a minute"
    )
