"""What lies in the projects of somebody who looks, for the pages of datasets and notebooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from panneuro_hub.access import Access, limit_to_reading, list_responsible_teams
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import ServiceUnavailableError, VendingError
from panneuro_hub.service.browse.project_reader import (
    ItemNotFoundError,
    ProjectReader,
    SingleFlightCache,
)
from panneuro_hub.wire import Reason
from panneuro_hub.wording import reasons_document

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_AT_ONCE = 6  # projects of one page
_MOST_LISTINGS = 16
_LISTING_CACHE_SECONDS = 10.0
_MOST_NOTES = 20
_LONGEST_NOTE = 300  # characters


@dataclass(frozen=True)
class DeniedProject:
    """A project that somebody cannot read.

    Parameters
    ----------
    project, title : str
    reasons : tuple of Reason
    ask : tuple of str
        The titles of the teams whose people can say more.
    """

    project: str
    title: str
    reasons: tuple[Reason, ...]
    ask: tuple[str, ...]


@dataclass(frozen=True)
class PageViewer:
    """Somebody who looks, with their access as it was decided for this page.

    Parameters
    ----------
    name : str
    collaboration : Collaboration
    accesses : mapping of str to Access
        In every project.
    """

    name: str
    collaboration: Collaboration
    accesses: Mapping[str, Access]

    @property
    def readable(self) -> dict[str, str]:
        """The titles of the projects that they can read, by name."""
        return {
            name: self.collaboration.projects[name].title
            for name, access in self.accesses.items()
            if limit_to_reading(self.collaboration, access).grants
        }

    @property
    def closed(self) -> tuple[DeniedProject, ...]:
        """The others."""
        can = self.readable
        return tuple(
            DeniedProject(
                name,
                self.collaboration.projects[name].title,
                access.reasons,
                list_responsible_teams(self.collaboration, name),
            )
            for name, access in self.accesses.items()
            if name not in can
        )

    def get_access(self, project: str) -> Access:
        """Theirs in one project.

        Raises
        ------
        ItemNotFoundError
            If there is no such project.
        """
        if project not in self.accesses:
            raise ItemNotFoundError("there is no project of this name")
        return self.accesses[project]


@dataclass(frozen=True)
class SearchResult(Generic[T]):
    """What somebody finds.

    Parameters
    ----------
    viewer : PageViewer
    query, project : str
        What was looked for, and where; ``""`` for everything and everywhere.
    rows : tuple
        Of those that there are, the first few hundred.
    count : int
        How many there are.
    notes : tuple of str
        What cannot be listed, and why.
    """

    viewer: PageViewer
    query: str
    project: str
    rows: tuple[T, ...]
    count: int
    notes: tuple[str, ...]

    @property
    def closed(self) -> tuple[DeniedProject, ...]:
        """The projects that cannot be read."""
        return self.viewer.closed

    def to_json(self, kind: str, one_json: Callable[[T], Any]) -> dict[str, Any]:
        """What the API answers.

        Parameters
        ----------
        kind : str
            The key of what was found, such as ``datasets``.
        one_json : callable
            Makes the JSON of one of them.
        """
        return {
            "user": self.viewer.name,
            "count": self.count,
            kind: [one_json(one) for one in self.rows],
            "notes": list(self.notes),
            "closed": [
                {
                    "project": one.project,
                    "title": one.title,
                    "ask": list(one.ask),
                    **reasons_document(one.reasons),
                }
                for one in self.closed
            ],
        }


class ProjectBrowser:
    """Reads what pages show.

    Parameters
    ----------
    reader : ProjectReader
    """

    def __init__(self, reader: ProjectReader) -> None:
        self._reader = reader
        self._recent = SingleFlightCache(_MOST_LISTINGS, _LISTING_CACHE_SECONDS)

    async def require_reading(self, viewer: PageViewer, project: str) -> Access:
        """What of somebody's access is reading a project.

        Raises
        ------
        ItemNotFoundError
            If there is no such project.
        AccessDenied
            If they cannot read it; the refusal is in the ledger.
        ServiceUnavailableError
            If that could not be written.
        """
        return await self._reader.require_reading(viewer.collaboration, viewer.get_access(project))

    async def read_project(
        self, viewer: PageViewer, project: str, work: Callable[[S3Store], T]
    ) -> T:
        """What `work` makes of one project; see `ProjectReader.read_project`.

        Raises
        ------
        ItemNotFoundError
            If there is no such project, or not what `work` looked for.
        AccessDeniedError, VendingError, ServiceUnavailable
            As for `ProjectReader.read_project`.
        """
        return await self._reader.read_project(
            viewer.collaboration, viewer.get_access(project), work
        )

    async def read_projects(
        self,
        viewer: PageViewer,
        projects: Iterable[str],
        what: str,
        work: Callable[[S3Store, str], T],
    ) -> tuple[dict[str, T], list[str]]:
        """What `work` makes of some projects, perhaps a moment ago.

        Parameters
        ----------
        what : str
            Names the work: the same name, the same answer.
        work : callable
            Gets a store and the project's name; see `ProjectReader.read_project`.

        Returns
        -------
        dict, list
            By project; and sentences about those that are out of reach for now.

        Raises
        ------
        AccessDeniedError, NothingHere
            If one of the projects cannot be read.
        """
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def look(project: str) -> T | VendingError | ServiceUnavailableError:
            # Before anything that is kept is looked at.
            access = await self.require_reading(viewer, project)
            try:
                async with at_once:
                    return await self._recent.get(
                        (what, viewer.name, project, access.grants[0].prefix),
                        lambda: self.read_project(
                            viewer, project, lambda store: work(store, project)
                        ),
                    )
            except (VendingError, ServiceUnavailableError) as problem:
                return problem

        names = list(projects)
        answers = await asyncio.gather(*map(look, names))
        found: dict[str, T] = {}
        notes: list[str] = []
        for project, answer in zip(names, answers, strict=True):
            if isinstance(answer, (VendingError, ServiceUnavailableError)):
                notes.append(f"{project}: {answer}")
            else:
                found[project] = answer
        return found, notes


def shorten_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """The first notes of many, each cut where it is long."""
    cut = [note if len(note) <= _LONGEST_NOTE else f"{note[:_LONGEST_NOTE]}…" for note in notes]
    more = len(cut) - _MOST_NOTES
    return (*cut[:_MOST_NOTES], f"and {more} more") if more > 0 else tuple(cut)
