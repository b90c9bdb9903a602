"""What everything in a catalog needs of an object store.

`store` is always an obstore store whose root is the prefix of a project. What lies
in it may be anybody's who writes there: what is malformed is told, never fatal to
a listing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstore.exceptions import NotFoundError

from panneuro_hub.catalog.reading import Malformed

if TYPE_CHECKING:
    from obstore.store import S3Store

AT_ONCE = 16
"""Requests at a time."""

# What obstore says of a missing object: one of them by a store's own classes, one by Python's.
MISSING = (FileNotFoundError, NotFoundError)


@dataclass(frozen=True)
class Trouble:
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


def exists(store: S3Store, key: str) -> bool:
    """Whether anything lies at `key`."""
    try:
        store.head(key)
    except MISSING:
        return False
    return True


def read_object(store: S3Store, key: str, largest: int) -> bytes | None:
    """What lies at `key`; `None` where nothing does.

    Raises
    ------
    Malformed
        If it has more bytes than `largest`; it is not read then.
    """
    found = read_version(store, key, largest)
    return None if found is None else found[0]


def read_version(store: S3Store, key: str, largest: int) -> tuple[bytes, str | None] | None:
    """Return an object with its ETag; `None` if there is none.

    Raises
    ------
    Malformed
        If it has more bytes than `largest`; it is not read then.
    """
    try:
        answer = store.get(key)
    except MISSING:
        return None
    size = answer.meta["size"]
    if size > largest:
        raise Malformed(f"it has {size} bytes, more than the {largest} that one can have")
    return bytes(answer.bytes()), answer.meta["e_tag"]
