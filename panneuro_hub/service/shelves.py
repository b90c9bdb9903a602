"""What lies in the projects of somebody who looks, for the pages of datasets and notebooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from panneuro_hub.access import Access, reading, whom_to_ask
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import ServiceUnavailable, VendingError
from panneuro_hub.service.issue import Issuer
from panneuro_hub.service.viewing import NothingHere, Recent, Viewing
from panneuro_hub.wire import Reason
from panneuro_hub.wording import reasons_document

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

_AT_ONCE = 6  # projects of one page
_LISTINGS_KEPT = 16
_KEPT_SECONDS = 10.0
_MOST_NOTES = 20
_LONGEST_NOTE = 300  # characters


@dataclass(frozen=True)
class Closed:
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
class Looker:
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
    def open(self) -> dict[str, str]:
        """The titles of the projects that they can read, by name."""
        return {
            name: self.collaboration.projects[name].title
            for name, access in self.accesses.items()
            if reading(self.collaboration, access).grants
        }

    @property
    def closed(self) -> tuple[Closed, ...]:
        """The others."""
        can = self.open
        return tuple(
            Closed(
                name,
                self.collaboration.projects[name].title,
                access.reasons,
                whom_to_ask(self.collaboration, name),
            )
            for name, access in self.accesses.items()
            if name not in can
        )

    def access(self, project: str) -> Access:
        """Theirs in one project.

        Raises
        ------
        NothingHere
            If there is no such project.
        """
        if project not in self.accesses:
            raise NothingHere("there is no project of this name")
        return self.accesses[project]


@dataclass(frozen=True)
class Finds(Generic[T]):
    """What somebody finds.

    Parameters
    ----------
    looker : Looker
    query, project : str
        What was looked for, and where; ``""`` for everything and everywhere.
    found : tuple
        Of those that there are, the first few hundred.
    count : int
        How many there are.
    notes : tuple of str
        What cannot be listed, and why.
    """

    looker: Looker
    query: str
    project: str
    found: tuple[T, ...]
    count: int
    notes: tuple[str, ...]

    @property
    def closed(self) -> tuple[Closed, ...]:
        """The projects that cannot be read."""
        return self.looker.closed

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
            "user": self.looker.name,
            "count": self.count,
            kind: [one_json(one) for one in self.found],
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


class Shelves:
    """Reads what pages show.

    Parameters
    ----------
    issuer : Issuer
    viewing : Viewing
    """

    def __init__(self, issuer: Issuer, viewing: Viewing) -> None:
        self.issuer = issuer
        self._viewing = viewing
        self._recent = Recent(_LISTINGS_KEPT, _KEPT_SECONDS)

    async def require(self, looker: Looker, project: str) -> Access:
        """What of somebody's access is reading a project.

        Raises
        ------
        NothingHere
            If there is no such project.
        AccessDenied
            If they cannot read it; the refusal is in the ledger.
        ServiceUnavailable
            If that could not be written.
        """
        return await self._viewing.require(looker.collaboration, looker.access(project))

    async def one(self, looker: Looker, project: str, work: Callable[[S3Store], T]) -> T:
        """What `work` makes of one project; see `Viewing.read`.

        Raises
        ------
        NothingHere
            If there is no such project, or not what `work` looked for.
        AccessDenied, VendingError, ServiceUnavailable
            As for `Viewing.read`.
        """
        return await self._viewing.read(looker.collaboration, looker.access(project), work)

    async def each(
        self,
        looker: Looker,
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
            Gets a store and the project's name; see `Viewing.read`.

        Returns
        -------
        dict, list
            By project; and sentences about those that are out of reach for now.

        Raises
        ------
        AccessDenied, NothingHere
            If one of the projects cannot be read.
        """
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def look(project: str) -> T | VendingError | ServiceUnavailable:
            # Before anything that is kept is looked at.
            access = await self.require(looker, project)
            try:
                async with at_once:
                    return await self._recent.get(
                        (what, looker.name, project, access.grants[0].prefix),
                        lambda: self.one(looker, project, lambda store: work(store, project)),
                    )
            except (VendingError, ServiceUnavailable) as problem:
                return problem

        names = list(projects)
        answers = await asyncio.gather(*map(look, names))
        found: dict[str, T] = {}
        notes: list[str] = []
        for project, answer in zip(names, answers, strict=True):
            if isinstance(answer, (VendingError, ServiceUnavailable)):
                notes.append(f"{project}: {answer}")
            else:
                found[project] = answer
        return found, notes


def shortened(notes: Iterable[str]) -> tuple[str, ...]:
    """The first notes of many, each cut where it is long."""
    cut = [note if len(note) <= _LONGEST_NOTE else f"{note[:_LONGEST_NOTE]}…" for note in notes]
    more = len(cut) - _MOST_NOTES
    return (*cut[:_MOST_NOTES], f"and {more} more") if more > 0 else tuple(cut)
