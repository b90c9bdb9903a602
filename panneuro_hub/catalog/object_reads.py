"""Bounded reads from an object store, for all modules of the catalog.

`store` is always an obstore store whose root is the prefix of a project. Everybody who can
write in the project can change its objects, so each read has a limit.
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

# obstore raises one of these for a missing object, depending on the store.
NOT_FOUND_ERRORS = (FileNotFoundError, NotFoundError)


@dataclass(frozen=True)
class CatalogProblem:
    """An object in a catalog that cannot be used.

    Parameters
    ----------
    key : str
        Its key, relative to the project's prefix.
    reason : str
    """

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def object_exists(store: S3Store, key: str) -> bool:
    """Return whether there is an object at `key`."""
    try:
        store.head(key)
    except NOT_FOUND_ERRORS:
        return False
    return True


def read_object(store: S3Store, key: str, largest: int) -> bytes | None:
    """Return the content of the object at `key`, or `None` if there is none.

    Raises
    ------
    MalformedRecordError
        If it has more bytes than `largest`. It is not read then.
    """
    found = read_version(store, key, largest)
    return None if found is None else found[0]


def read_version(store: S3Store, key: str, largest: int) -> tuple[bytes, str | None] | None:
    """Return an object with its ETag; `None` if there is none.

    Raises
    ------
    MalformedRecordError
        If it has more bytes than `largest`. It is not read then.
    """
    try:
        answer = store.get(key)
    except NOT_FOUND_ERRORS:
        return None
    size = answer.meta["size"]
    if size > largest:
        raise MalformedRecordError(f"it has {size} bytes; the limit is {largest}")
    return bytes(answer.bytes()), answer.meta["e_tag"]
