"""Where the data of a collaboration lies."""

from __future__ import annotations

from panneuro_hub.collaboration.models import Collaboration, Store
from panneuro_hub.names import Location, slug


def store_of(collaboration: Collaboration, project: str) -> Store:
    """The store in which a project's data lies."""
    return collaboration.stores[collaboration.projects[project].store]


def location_of(collaboration: Collaboration, project: str) -> Location:
    """The prefix of a project."""
    return Location(store_of(collaboration, project).bucket, collaboration.projects[project].prefix)


def frozen_locations(collaboration: Collaboration, project: str) -> tuple[Location, ...]:
    """The prefixes of a project where nobody writes any more."""
    bucket = store_of(collaboration, project).bucket
    return tuple(Location(bucket, key) for key in collaboration.projects[project].frozen)


def scratch_of(collaboration: Collaboration, project: str, person: str) -> Location | None:
    """A person's scratch prefix in a project; `None` where the store has no scratch."""
    store = store_of(collaboration, project)
    if store.scratch is None:
        return None
    return Location(store.bucket, f"{store.scratch.prefix}{project}/{slug(person)}/")


def owner_of(collaboration: Collaboration, place: Location, store: str | None) -> str | None:
    """The project whose prefix covers `place`, or `None`.

    Parameters
    ----------
    store : str or None
        Whose bucket is meant where stores of different services have one of the same name.
    """
    projects = collaboration.projects
    owners = (name for name in projects if location_of(collaboration, name).contains(place))
    return max(owners, key=lambda name: projects[name].store == store, default=None)


def scratch_root(
    collaboration: Collaboration, place: Location, store: str | None
) -> Location | None:
    """The scratch prefix that covers `place`, or `None`; `store` as for `owner_of`."""
    roots = {
        name: Location(each.bucket, each.scratch.prefix)
        for name, each in collaboration.stores.items()
        if each.scratch is not None
    }
    covering = (name for name, root in roots.items() if root.contains(place))
    found = max(covering, key=lambda name: name == store, default=None)
    return None if found is None else roots[found]
