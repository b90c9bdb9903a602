"""Translate the errors of a store into sentences for the researcher."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.lab.current_session import PathNotFoundError

_REFUSALS = (PermissionDeniedError, UnauthenticatedError)
# This is all that obstore says if a store refuses a listing. If the agent refuses keys, the address
# is the agent's, and its reason follows.
_NO_LISTING = re.compile(r"[?&]list-type=2\b.* 403 Forbidden")


@dataclass(frozen=True)
class PathLabel:
    """A requested path and its address, for error messages.

    Parameters
    ----------
    path : str
        The path as the person wrote it.
    uri : str
        The whole address of the path.
    project : str
        The active project of the session.
    """

    path: str
    uri: str
    project: str


@contextmanager
def translate_store_errors(place: PathLabel, what: str = "object") -> Iterator[None]:
    """Translate a store's errors.

    Parameters
    ----------
    place : PathLabel
    what : str
        What should be at the path, for the message.

    Raises
    ------
    PathNotFoundError
        If there is nothing at the path.
    AccessDeniedError
        If the store refuses the request.
    ServiceUnavailableError
        If the store does not answer, or there are no keys for it.
    """
    shown = f"{place.path!r} ({place.uri})"
    try:
        yield
    except (PathNotFoundError, AccessDeniedError, ServiceUnavailableError):
        raise
    except (FileNotFoundError, NotFoundError) as missing:
        raise PathNotFoundError(
            f"there is no {what} at {shown}; "
            f"list what is there with lab.filesystem().ls({place.uri!r})"
        ) from missing
    except BaseError as failure:
        if isinstance(failure, _REFUSALS) or _NO_LISTING.search(str(failure)):
            raise AccessDeniedError(
                f"the store refuses {shown} to this session of {place.project}; "
                "lab.session() shows what it may do, and whether its keys are renewed"
            ) from failure
        # The first line holds the reason, also the agent's; the rest is for developers of obstore.
        reason = str(failure).partition("\n")[0]
        raise ServiceUnavailableError(
            f"{place.path!r} cannot be read for now: {reason}"
        ) from failure
