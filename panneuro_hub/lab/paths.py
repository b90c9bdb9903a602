"""Find the storage path that a name means, with a store to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from panneuro_hub.lab.current_session import SCRATCH, locate_path
from panneuro_hub.lab.session_stores import open_store
from panneuro_hub.lab.store_errors import PathLabel
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    from obstore.store import S3Store


@dataclass(frozen=True)
class StoragePath:
    """A path below the prefix of a project, or below the person's own scratch.

    Parameters
    ----------
    view : SessionView
        The session that uses the path.
    project : str
        The name of the project, or ``scratch``.
    root : StorageLocation
        The prefix.
    store : S3Store
        A store whose root is `root`.
    key : str
        The key below the root, without a ``/`` at its end; ``""`` for the root itself.
    """

    view: SessionView
    project: str
    root: StorageLocation
    store: S3Store
    key: str

    @property
    def path(self) -> str:
        """Return the path as `lab.open` takes it."""
        return f"{self.project}/{self.key}".rstrip("/")

    @property
    def place(self) -> PathLabel:
        """Return the path and address for error messages."""
        return PathLabel(self.path, f"{self.root.uri}{self.key}", self.view.project)

    def at(self, key: str) -> StoragePath:
        """Return another path below the same root."""
        return StoragePath(self.view, self.project, self.root, self.store, key.rstrip("/"))

    def below(self, rest: str) -> StoragePath:
        """Return a path below this one."""
        return self.at(f"{self.key}/{rest}" if self.key else rest)

    def open_own_store(self) -> S3Store:
        """Open a store whose root is this path."""
        return open_store(
            self.view, StorageLocation(self.root.bucket, f"{self.root.key}{self.key}")
        )


def find_path(view: SessionView, path: str) -> StoragePath:
    """Return the storage path that `path` means, as `panneuro_hub.lab.resolve` does.

    Raises
    ------
    AccessDeniedError, ValueError
        As for `resolve`.
    """
    place = locate_path(view, path)
    roots = {name: StorageLocation.parse(prefix) for name, prefix in view.prefixes.items()}
    if view.scratch is not None:
        roots[SCRATCH] = StorageLocation.parse(view.scratch)
    covering = [
        (name, root) for name, root in roots.items() if root == place or root.contains(place)
    ]
    if not covering:
        # A grant without a project of its own, such as one for a folder only.
        root = StorageLocation(place.bucket, place.key[: place.key.rstrip("/").rfind("/") + 1])
        return StoragePath(
            view, root.uri.rstrip("/"), root, open_store(view, root), _key_below(root, place)
        )
    name, root = max(covering, key=lambda found: len(found[1].key))
    return StoragePath(view, name, root, open_store(view, root), _key_below(root, place))


def _key_below(root: StorageLocation, place: StorageLocation) -> str:
    return place.key.removeprefix(root.key).rstrip("/")
