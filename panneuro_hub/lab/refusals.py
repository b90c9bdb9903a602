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

from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab.here import NothingThere

_REFUSED = (PermissionDeniedError, UnauthenticatedError)
# All that obstore says where a store refuses a listing; where the agent refuses keys, the address
# is the agent's and its reason follows.
_NO_LISTING = re.compile(r"[?&]list-type=2\b.* 403 Forbidden")


@dataclass(frozen=True)
class Place:
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
def plainly(place: Place, what: str = "object") -> Iterator[None]:
    """Translate a store's errors.

    Parameters
    ----------
    place : Place
    what : str
        What there should have been, for the text.

    Raises
    ------
    NothingThere
        If it is not there.
    AccessDenied
        If the store refuses it.
    ServiceUnavailable
        If the store, or the keys for it, are out of reach.
    """
    shown = f"{place.path!r} ({place.uri})"
    try:
        yield
    except (NothingThere, AccessDenied, ServiceUnavailable):
        raise
    except (FileNotFoundError, NotFoundError) as missing:
        raise NothingThere(
            f"there is no {what} at {shown}; "
            f"list what is there with lab.filesystem().ls({place.uri!r})"
        ) from missing
    except BaseError as failure:
        if isinstance(failure, _REFUSED) or _NO_LISTING.search(str(failure)):
            raise AccessDenied(
                f"the store refuses {shown} to this session of {place.project}; "
                "lab.session() says what it may do, and whether its keys are renewed"
            ) from failure
        # Its first line holds the reason, the agent's as well; the rest is for obstore's makers.
        reason = str(failure).partition("\n")[0]
        raise ServiceUnavailable(f"{place.path!r} cannot be read for now: {reason}") from failure
