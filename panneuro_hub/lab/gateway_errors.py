"""Errors of dask-gateway's client, translated into one sentence each.

A translated error does not keep the original one: an aiohttp error holds the request, and with it
the server's token, and its long traceback does not help a person.
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
"""The exceptions of dask-gateway's client for an answer of the gateway, and for no answer."""


class ClusterEndedError(PanNeuroError):
    """A cluster was closed or has ended; the message says why."""

    code = "cluster-ended"
    status = 409


class ClientClosedError(ClusterEndedError, ClosedClientError):
    """A client was used after it was closed, or after its cluster ended; the message says which."""

    code = "client-closed"


class ClusterNotFoundError(PanNeuroError):
    """No running cluster of this session's project has the name; the message lists the names."""

    code = "cluster-not-found"
    status = 404


def translate_errors(call: Callable[[], Result]) -> Result:
    """Return the result of `call`, and translate the errors of dask-gateway's client."""
    try:
        return call()
    except FOREIGN_ERRORS as problem:
        plain = convert_error(problem)
    raise plain


async def translate_errors_of(awaitable: Awaitable[Result]) -> Result:
    """Return the awaited result, and translate the errors of dask-gateway's client."""
    try:
        return await awaitable
    except FOREIGN_ERRORS as problem:
        plain = convert_error(problem)
    raise plain


def convert_error(problem: Exception) -> PanNeuroError:
    """Return our own error for an error of dask-gateway's client."""
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
            "the server at DASK_GATEWAY__ADDRESS is not a Dask gateway, or the gateway does not run"
        )
    return AccessDeniedError(to_printable(words))


def _answered(status: int, words: str) -> PanNeuroError:
    if status == 401:
        return AccessDeniedError(
            "the Dask gateway no longer accepts the token of this server; stop your server, "
            "and start it again from the hub"
        )
    if status < 500:
        return AccessDeniedError(f"the Dask gateway refuses this: {words}")
    return ServiceUnavailableError(
        f"the Dask gateway answers {status} ({words}); try again in a minute"
    )
