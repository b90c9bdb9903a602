"""The locations of a collaboration's data."""

from __future__ import annotations

from panneuro_hub.collaboration.models import Collaboration, Store
from panneuro_hub.names import StorageLocation, make_slug


def find_store(collaboration: Collaboration, project: str) -> Store:
    """Return the store that holds a project's data."""
    return collaboration.stores[collaboration.projects[project].store]


def find_location(collaboration: Collaboration, project: str) -> StorageLocation:
    """Return the prefix of a project."""
    return StorageLocation(
        find_store(collaboration, project).bucket, collaboration.projects[project].prefix
    )


def find_frozen_locations(
    collaboration: Collaboration, project: str
) -> tuple[StorageLocation, ...]:
    """Return the frozen prefixes of a project."""
    bucket = find_store(collaboration, project).bucket
    return tuple(StorageLocation(bucket, key) for key in collaboration.projects[project].frozen)


def find_scratch(collaboration: Collaboration, project: str, person: str) -> StorageLocation | None:
    """Return a person's scratch prefix in a project; `None` if the store has no scratch."""
    store = find_store(collaboration, project)
    if store.scratch is None:
        return None
    return StorageLocation(store.bucket, f"{store.scratch.prefix}{project}/{make_slug(person)}/")


def find_owner(
    collaboration: Collaboration, place: StorageLocation, store: str | None
) -> str | None:
    """Return the project whose prefix covers `place`, or `None`.

    Parameters
    ----------
    store : str or None
        The store to prefer if stores of different services have buckets of the same name.
    """
    projects = collaboration.projects
    owners = (name for name in projects if find_location(collaboration, name).contains(place))
    return max(owners, key=lambda name: projects[name].store == store, default=None)


def find_scratch_root(
    collaboration: Collaboration, place: StorageLocation, store: str | None
) -> StorageLocation | None:
    """Return the scratch prefix that covers `place`, or `None`; `store` as for `find_owner`."""
    roots = {
        name: StorageLocation(each.bucket, each.scratch.prefix)
        for name, each in collaboration.stores.items()
        if each.scratch is not None
    }
    covering = (name for name, root in roots.items() if root.contains(place))
    found = max(covering, key=lambda name: name == store, default=None)
    return None if found is None else roots[found]
