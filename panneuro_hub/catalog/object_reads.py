"""What everything in a catalog needs of an object store.

`store` is always an obstore store whose root is the prefix of a project. What lies
in it may be anybody's who writes there: what is malformed is told, never fatal to
a listing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstore.exceptions import NotFoundError

from panneuro_hub.catalog.json_fields import MalformedRecordError

if TYPE_CHECKING:
    from obstore.store import S3Store

MAX_REQUESTS = 16
"""Requests at a time."""

# What obstore says of a missing object: one of them by a store's own classes, one by Python's.
NOT_FOUND_ERRORS = (FileNotFoundError, NotFoundError)


@dataclass(frozen=True)
class CatalogProblem:
    """Something in a catalog that cannot be used.

    Parameters
    ----------
    key : str
        Where it lies, seen from the project's prefix.
    reason : str
    """

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def object_exists(store: S3Store, key: str) -> bool:
    """Whether anything lies at `key`."""
    try:
        store.head(key)
    except NOT_FOUND_ERRORS:
        return False
    return True


def read_object(store: S3Store, key: str, largest: int) -> bytes | None:
    """What lies at `key`; `None` where nothing does.

    Raises
    ------
    MalformedRecordError
        If it has more bytes than `largest`; it is not read then.
    """
    found = read_version(store, key, largest)
    return None if found is None else found[0]


def read_version(store: S3Store, key: str, largest: int) -> tuple[bytes, str | None] | None:
    """Return an object with its ETag; `None` if there is none.

    Raises
    ------
    MalformedRecordError
        If it has more bytes than `largest`; it is not read then.
    """
    try:
        answer = store.get(key)
    except NOT_FOUND_ERRORS:
        return None
    size = answer.meta["size"]
    if size > largest:
        raise MalformedRecordError(
            f"it has {size} bytes, more than the {largest} that one can have"
        )
    return bytes(answer.bytes()), answer.meta["e_tag"]
