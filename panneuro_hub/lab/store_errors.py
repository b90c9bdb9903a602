"""What a store says no with, in words for the researcher."""

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
# All that obstore says where a store refuses a listing; where the agent refuses keys, the address
# is the agent's and its reason follows.
_NO_LISTING = re.compile(r"[?&]list-type=2\b.* 403 Forbidden")


@dataclass(frozen=True)
class PathLabel:
    """What somebody asked for.

    Parameters
    ----------
    path : str
        As they wrote it.
    uri : str
        Where that is.
    project : str
        The project of the session that asks.
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
        What there should have been, for the text.

    Raises
    ------
    PathNotFoundError
        If it is not there.
    AccessDeniedError
        If the store refuses it.
    ServiceUnavailableError
        If the store, or the keys for it, are out of reach.
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
                "lab.session() says what it may do, and whether its keys are renewed"
            ) from failure
        # Its first line holds the reason, the agent's as well; the rest is for obstore's makers.
        reason = str(failure).partition("\n")[0]
        raise ServiceUnavailableError(
            f"{place.path!r} cannot be read for now: {reason}"
        ) from failure
