"""Places below a project's prefix, with a store to reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from panneuro_hub.lab.data import store_at
from panneuro_hub.lab.here import SCRATCH, locate
from panneuro_hub.lab.refusals import Place
from panneuro_hub.names import Location
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    from obstore.store import S3Store


@dataclass(frozen=True)
class Spot:
    """A place below the prefix of a project, or of one's own scratch.

    Parameters
    ----------
    view : SessionView
        The session that asks.
    project : str
        ``scratch`` for that.
    root : Location
        The prefix.
    store : S3Store
        Rooted at `root`.
    key : str
        Below the root, without a ``/`` at its end; ``""`` for the root itself.
    """

    view: SessionView
    project: str
    root: Location
    store: S3Store
    key: str

    @property
    def path(self) -> str:
        """As `lab.open` takes it."""
        return f"{self.project}/{self.key}".rstrip("/")

    @property
    def place(self) -> Place:
        """For the texts of errors."""
        return Place(self.path, f"{self.root.uri}{self.key}", self.view.project)

    def at(self, key: str) -> Spot:
        """Another place below the same root."""
        return Spot(self.view, self.project, self.root, self.store, key.rstrip("/"))

    def below(self, rest: str) -> Spot:
        """A place below this one."""
        return self.at(f"{self.key}/{rest}" if self.key else rest)

    def own_store(self) -> S3Store:
        """A store whose root is this place."""
        return store_at(self.view, Location(self.root.bucket, f"{self.root.key}{self.key}"))


def spot(view: SessionView, path: str) -> Spot:
    """The place that `path` names; the rest is as for `panneuro_hub.lab.resolve`.

    Raises
    ------
    AccessDenied, ValueError
        As for `resolve`.
    """
    place = locate(view, path)
    roots = {name: Location.parse(prefix) for name, prefix in view.prefixes.items()}
    if view.scratch is not None:
        roots[SCRATCH] = Location.parse(view.scratch)
    covering = [
        (name, root) for name, root in roots.items() if root == place or root.contains(place)
    ]
    if not covering:
        # A grant without a project of its own, such as one for a folder only.
        root = Location(place.bucket, place.key[: place.key.rstrip("/").rfind("/") + 1])
        return Spot(view, root.uri.rstrip("/"), root, store_at(view, root), _rest(root, place))
    name, root = max(covering, key=lambda found: len(found[1].key))
    return Spot(view, name, root, store_at(view, root), _rest(root, place))


def _rest(root: Location, place: Location) -> str:
    return place.key.removeprefix(root.key).rstrip("/")
