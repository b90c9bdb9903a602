"""Published notebooks as somebody who looks may see them; all that they say is data."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from panneuro_hub.access import ProjectRecipients, find_recipients
from panneuro_hub.access.project_locations import find_location
from panneuro_hub.catalog import MalformedRecordError
from panneuro_hub.catalog import notebook_store as catalog
from panneuro_hub.catalog.notebook_records import LAST_NUMBER, NotebookRecord
from panneuro_hub.catalog.notebook_store import NotebookNotFoundError
from panneuro_hub.catalog.text_format import contains_words
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.accounts.hub_users import HubUsers, make_person
from panneuro_hub.service.browse.notebook_renderer import (
    NotebookRenderer,
    UnrenderableNotebookError,
)
from panneuro_hub.service.browse.project_browser import (
    PageViewer,
    ProjectBrowser,
    SearchResult,
    shorten_notes,
)
from panneuro_hub.service.browse.project_reader import (
    ItemNotFoundError,
    PersonLimiter,
    SingleFlightCache,
)
from panneuro_hub.service.cache import put_newest
from panneuro_hub.wire import Reason
from panneuro_hub.wire.credential import format_time

if TYPE_CHECKING:
    from obstore.store import S3Store

_CARDS = 200
_VERSIONS = 100
_PEOPLE = 300
_USES = 20  # projects
_PAGES_SIZE = 2**26  # bytes of all pages that are kept
_MAKING = 3  # notebooks that are read or made pages at a time, each of up to 32 MiB
_MOST_MAKING = 32  # with those that wait, which take no memory
_MAKING_OF_ONE = 8  # of one person's
_DESCRIPTION = 1000  # characters, in the gallery
_REFUSED_KEPT = 1000
_REFUSED_SECONDS = 600.0
_PICTURES_KEPT = 200
_PICTURES_SECONDS = 60.0


@dataclass(frozen=True)
class NotebookCard:
    """A notebook in the gallery.

    Parameters
    ----------
    latest : NotebookRecord
        The newest version.
    count : int
        How many versions there are.
    """

    latest: NotebookRecord
    count: int

    def matches_words(self, words: str) -> bool:
        """Whether name, title, description, author or datasets have all `words`."""
        one = self.latest
        texts = (one.title, one.description, one.created_by, *one.datasets)
        return contains_words((f"{one.project}/{one.name}", *texts), words)


@dataclass(frozen=True)
class DatasetUse:
    """A dataset that a notebook uses.

    Parameters
    ----------
    name : str
        ``PROJECT/DATASET``.
    reasons : tuple of Reason
        Why the viewer cannot read it; empty where they can.
    """

    name: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class RecipientCheck:
    """Who of a project can read what a notebook uses, as far as it is known.

    Parameters
    ----------
    recipients : ProjectRecipients or None
        `None` where it is not known; `problem` says why.
    problem : str
    more : int
        How many people are not looked at, since there are so many.
    """

    recipients: ProjectRecipients | None
    problem: str = ""
    more: int = 0


@dataclass(frozen=True)
class NotebookView:
    """One version of a notebook with what its page shows.

    Parameters
    ----------
    published : NotebookRecord
    versions : tuple of NotebookRecord
        The newest first.
    uses : tuple of DatasetUse
    recipient_check : RecipientCheck
    notes : tuple of str
    """

    published: NotebookRecord
    versions: tuple[NotebookRecord, ...]
    uses: tuple[DatasetUse, ...]
    recipient_check: RecipientCheck
    notes: tuple[str, ...]


class NotebookBrowser:
    """Reads notebooks and their pictures, and makes pages of them.

    Parameters
    ----------
    browser : ProjectBrowser
    hub_users : HubUsers
        Says who else can read what a notebook uses.
    render : callable
        Makes a page of the bytes of a notebook, or raises `UnrenderableNotebookError`.
    """

    def __init__(
        self,
        browser: ProjectBrowser,
        hub_users: HubUsers,
        render: Callable[[bytes], Awaitable[str]] | None = None,
    ) -> None:
        self.browser = browser
        self._hub_users = hub_users
        self._render = render or NotebookRenderer().render
        self._pages = RenderedPageCache(_PAGES_SIZE)
        self._limiter = PersonLimiter(
            _MAKING,
            _MOST_MAKING,
            _MAKING_OF_ONE,
            "many notebooks are being made ready; try again in a minute",
        )
        self._pictures = SingleFlightCache(_PICTURES_KEPT, _PICTURES_SECONDS)

    async def search_notebooks(
        self, viewer: PageViewer, query: str = "", project: str = ""
    ) -> SearchResult[NotebookCard]:
        """Find notebooks, in one project or in all that can be read; the newest first.

        Raises
        ------
        ItemNotFoundError
            If there is no such project.
        AccessDenied
            If it cannot be read.
        """
        projects = [project] if project else list(viewer.readable)
        found, notes = await self.browser.read_projects(viewer, projects, "notebooks", _list_cards)
        for name, (_, problems) in found.items():
            notes += [f"{name}: {trouble}" for trouble in problems]
        everything = [card for listed, _ in found.values() for card in listed]
        # There may be megabytes of words, and others are served meanwhile.
        cards = await asyncio.to_thread(
            lambda: [card for card in everything if card.matches_words(query)]
        )
        cards.sort(key=lambda card: card.latest.label)
        cards.sort(key=lambda card: card.latest.created, reverse=True)
        return SearchResult(
            viewer, query, project, tuple(cards[:_CARDS]), len(cards), shorten_notes(notes)
        )

    async def load_notebook(
        self, viewer: PageViewer, project: str, name: str, number: int | None
    ) -> NotebookView:
        """One version of a notebook, the newest where `number` is `None`, with all around it.

        Raises
        ------
        ItemNotFoundError
            If there is none.
        AccessDeniedError, VendingError, ServiceUnavailable
            As for `ProjectBrowser.read_project`.
        """
        listed = await self.browser.read_project(
            viewer, project, lambda store: catalog.read_history(store, project, name)
        )
        notes = shorten_notes(map(str, listed.problems))
        versions = listed.notebooks[0].versions if listed.notebooks else ()
        chosen = [one for one in versions if number in (None, one.number)]
        if not chosen:
            why = f": {notes[-1]}" if notes else ""
            raise ItemNotFoundError(
                f"{project} has no such notebook, or no such version of it{why}"
            )
        published = chosen[-1]
        return NotebookView(
            published,
            tuple(reversed(versions))[:_VERSIONS],
            tuple(_make_use(viewer, name) for name in published.datasets),
            await self._check_recipients(viewer, published),
            notes,
        )

    async def find_record(
        self, viewer: PageViewer, project: str, name: str, number: int | None
    ) -> NotebookRecord:
        """What is said of one version; raises as `load_notebook`."""
        return await self.browser.read_project(
            viewer, project, lambda store: _find_version(store, project, name, number)
        )

    async def render_page(
        self, viewer: PageViewer, project: str, name: str, number: int | None
    ) -> bytes:
        """A notebook as HTML in UTF-8; made once, and kept for a while.

        Raises
        ------
        ItemNotFoundError
            If there is none, or it is not what was published.
        UnrenderableNotebookError
            If it cannot be made a page.
        ServiceUnavailableError
            If too many are being made; or as for `ProjectBrowser.read_project`.
        AccessDeniedError, VendingError
            As for `ProjectBrowser.read_project`.
        """
        about = await self.find_record(viewer, project, name, number)

        async def make() -> bytes:
            async with self._limiter.acquire(viewer.name):
                notebook = await self.browser.read_project(
                    viewer, project, lambda store: _read_notebook(store, about)
                )
                return (await self._render(notebook)).encode()

        # Of this project alone: who knows a checksum must not get what has it elsewhere.
        place = find_location(viewer.collaboration, project)
        return await self._pages.get((place, about.sha256), make)

    async def load_preview(
        self, viewer: PageViewer, project: str, name: str, number: int | None
    ) -> bytes:
        """Return a notebook's picture as PNG; raises as `load_notebook`, and if there is none."""

        def look(store: S3Store) -> bytes | None:
            return catalog.read_preview(store, _find_version(store, project, name, number))

        # Before anything that is kept is looked at.
        await self.browser.require_reading(viewer, project)
        picture = await self._pictures.get(
            (viewer.name, find_location(viewer.collaboration, project), name, number),
            lambda: self.browser.read_project(viewer, project, look),
        )
        if picture is None:
            raise ItemNotFoundError("this notebook has no picture")
        return picture

    async def _check_recipients(
        self, viewer: PageViewer, published: NotebookRecord
    ) -> RecipientCheck:
        uses = list(dict.fromkeys(one.partition("/")[0] for one in published.datasets))[:_USES]
        now = datetime.now(UTC)
        try:
            members = await self._hub_users.list_members()
        except ServiceUnavailableError as problem:
            return RecipientCheck(None, str(problem))
        list_members = (make_person(viewer.collaboration, one) for one in members)
        people = [person for person in list_members if person.teams]
        found = await asyncio.to_thread(
            find_recipients, viewer.collaboration, people[:_PEOPLE], published.project, uses, now
        )
        return RecipientCheck(found, more=max(0, len(people) - _PEOPLE))


class RenderedPageCache:
    """Pages that were made a while ago, up to a size of all of them.

    Parameters
    ----------
    size : int
        In bytes.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = size
        self._clock = clock
        self._size = 0
        self._cached: OrderedDict[Hashable, bytes] = OrderedDict()
        self._making = SingleFlightCache(16, 1.0)
        self._refused: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The page of `key`; `make` makes it where it is not kept.

        Raises
        ------
        UnrenderableNotebookError
            If `make` raised that, a while ago perhaps: it may have taken long to find out.
        Exception
            What else `make` raised.
        """
        if key in self._cached:
            self._cached.move_to_end(key)
            return self._cached[key]
        at, refusal = self._refused.get(key, (-math.inf, ""))
        if self._clock() - at < _REFUSED_SECONDS:
            raise UnrenderableNotebookError(refusal)
        try:
            page = await self._making.get(key, make)
        except UnrenderableNotebookError as problem:
            put_newest(self._refused, key, (self._clock(), str(problem)), _REFUSED_KEPT)
            raise
        # Pages are large: only those that are counted are kept.
        self._making.forget(key)
        if key not in self._cached:
            self._add(key, page)
        return page

    def _add(self, key: Hashable, page: bytes) -> None:
        self._cached[key] = page
        self._size += len(page)
        while self._size > self._most:
            self._size -= len(self._cached.popitem(last=False)[1])


def parse_version_number(text: str) -> int | None:
    """The version that an address asks for; `None` for the newest.

    Raises
    ------
    ItemNotFoundError
        If it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= LAST_NUMBER):
        raise ItemNotFoundError("there is no such version; a version is a number, such as 3")
    return int(text)


def format_card(card: NotebookCard) -> dict[str, Any]:
    """A notebook of the gallery as JSON."""
    one = card.latest
    return {
        "name": f"{one.project}/{one.name}",
        "project": one.project,
        "title": one.title,
        "description": one.description,
        "created": format_time(one.created),
        "created_by": one.created_by,
        "version": one.number,
        "versions": card.count,
        "bytes": one.size,
        "sha256": one.sha256,
        "image": one.environment.image,
        "datasets": list(one.datasets),
        "has_preview": one.preview_sha256 is not None,
    }


def _list_cards(store: S3Store, project: str) -> tuple[tuple[NotebookCard, ...], tuple[str, ...]]:
    listed = catalog.list_notebooks(store, project)
    cards = tuple(
        NotebookCard(_drop_long_fields(one.latest), len(one.versions)) for one in listed.notebooks
    )
    return cards, shorten_notes(map(str, listed.problems))


def _drop_long_fields(published: NotebookRecord) -> NotebookRecord:
    """Without what is long, which the page of the notebook shows."""
    return replace(
        published,
        description=published.description[:_DESCRIPTION],
        note="",
        environment=replace(published.environment, packages=()),
    )


@contextmanager
def _translate_missing() -> Iterator[None]:
    """Say of what is not there, or is not what it should be, that nothing is here."""
    try:
        yield
    except (NotebookNotFoundError, MalformedRecordError) as problem:
        raise ItemNotFoundError(str(problem)) from problem


def _find_version(store: S3Store, project: str, name: str, number: int | None) -> NotebookRecord:
    with _translate_missing():
        return catalog.find_version(store, project, name, number)


def _read_notebook(store: S3Store, about: NotebookRecord) -> bytes:
    with _translate_missing():
        return catalog.read_notebook(store, about)


def _make_use(viewer: PageViewer, name: str) -> DatasetUse:
    project = name.partition("/")[0]
    if project not in viewer.accesses:
        return DatasetUse(name, (Reason("no-such-project", project),))
    return DatasetUse(name, () if project in viewer.readable else viewer.accesses[project].reasons)
