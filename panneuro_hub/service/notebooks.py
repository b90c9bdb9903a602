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

from panneuro_hub.access import Recipients, recipients
from panneuro_hub.access.places import location_of
from panneuro_hub.catalog import Malformed
from panneuro_hub.catalog import notebooks as catalog
from panneuro_hub.catalog.notebooks import NotPublished
from panneuro_hub.catalog.published import LAST_NUMBER, Published
from panneuro_hub.catalog.words import has_words
from panneuro_hub.errors import ServiceUnavailable
from panneuro_hub.service.kept import remember
from panneuro_hub.service.membership import person_of
from panneuro_hub.service.rendering import Renderer, Unrenderable
from panneuro_hub.service.shelves import Finds, Looker, Shelves, shortened
from panneuro_hub.service.viewing import NothingHere, Recent, Turns
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
class Card:
    """A notebook in the gallery.

    Parameters
    ----------
    latest : Published
        The newest version.
    count : int
        How many versions there are.
    """

    latest: Published
    count: int

    def has(self, words: str) -> bool:
        """Whether name, title, description, author or datasets have all `words`."""
        one = self.latest
        texts = (one.title, one.description, one.created_by, *one.datasets)
        return has_words((f"{one.project}/{one.name}", *texts), words)


@dataclass(frozen=True)
class Use:
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
class Reach:
    """Who of a project can read what a notebook uses, as far as it is known.

    Parameters
    ----------
    recipients : Recipients or None
        `None` where it is not known; `problem` says why.
    problem : str
    more : int
        How many people are not looked at, since there are so many.
    """

    recipients: Recipients | None
    problem: str = ""
    more: int = 0


@dataclass(frozen=True)
class Shown:
    """One version of a notebook with what its page shows.

    Parameters
    ----------
    published : Published
    versions : tuple of Published
        The newest first.
    uses : tuple of Use
    reach : Reach
    notes : tuple of str
    """

    published: Published
    versions: tuple[Published, ...]
    uses: tuple[Use, ...]
    reach: Reach
    notes: tuple[str, ...]


class Notebooks:
    """Reads notebooks and their pictures, and makes pages of them.

    Parameters
    ----------
    shelves : Shelves
    render : callable
        Makes a page of the bytes of a notebook, or raises `Unrenderable`.
    """

    def __init__(
        self, shelves: Shelves, render: Callable[[bytes], Awaitable[str]] | None = None
    ) -> None:
        self.shelves = shelves
        self._render = render or Renderer().render
        self._pages = Pages(_PAGES_SIZE)
        self._turns = Turns(
            _MAKING,
            _MOST_MAKING,
            _MAKING_OF_ONE,
            "many notebooks are being made ready; try again in a minute",
        )
        self._pictures = Recent(_PICTURES_KEPT, _PICTURES_SECONDS)

    async def gallery(self, looker: Looker, query: str = "", project: str = "") -> Finds[Card]:
        """Find notebooks, in one project or in all that can be read; the newest first.

        Raises
        ------
        NothingHere
            If there is no such project.
        AccessDenied
            If it cannot be read.
        """
        projects = [project] if project else list(looker.open)
        found, notes = await self.shelves.each(looker, projects, "notebooks", _cards)
        for name, (_, troubles) in found.items():
            notes += [f"{name}: {trouble}" for trouble in troubles]
        everything = [card for listed, _ in found.values() for card in listed]
        # There may be megabytes of words, and others are served meanwhile.
        cards = await asyncio.to_thread(lambda: [card for card in everything if card.has(query)])
        cards.sort(key=lambda card: card.latest.label)
        cards.sort(key=lambda card: card.latest.created, reverse=True)
        return Finds(looker, query, project, tuple(cards[:_CARDS]), len(cards), shortened(notes))

    async def shown(self, looker: Looker, project: str, name: str, number: int | None) -> Shown:
        """One version of a notebook, the newest where `number` is `None`, with all around it.

        Raises
        ------
        NothingHere
            If there is none.
        AccessDenied, VendingError, ServiceUnavailable
            As for `Shelves.one`.
        """
        listed = await self.shelves.one(
            looker, project, lambda store: catalog.history(store, project, name)
        )
        notes = shortened(map(str, listed.troubles))
        versions = listed.notebooks[0].versions if listed.notebooks else ()
        chosen = [one for one in versions if number in (None, one.number)]
        if not chosen:
            why = f": {notes[-1]}" if notes else ""
            raise NothingHere(f"{project} has no such notebook, or no such version of it{why}")
        published = chosen[-1]
        return Shown(
            published,
            tuple(reversed(versions))[:_VERSIONS],
            tuple(_use(looker, name) for name in published.datasets),
            await self._reach(looker, published),
            notes,
        )

    async def published(
        self, looker: Looker, project: str, name: str, number: int | None
    ) -> Published:
        """What is said of one version; raises as `shown`."""
        return await self.shelves.one(
            looker, project, lambda store: _find(store, project, name, number)
        )

    async def page(self, looker: Looker, project: str, name: str, number: int | None) -> bytes:
        """A notebook as HTML in UTF-8; made once, and kept for a while.

        Raises
        ------
        NothingHere
            If there is none, or it is not what was published.
        Unrenderable
            If it cannot be made a page.
        ServiceUnavailable
            If too many are being made; or as for `Shelves.one`.
        AccessDenied, VendingError
            As for `Shelves.one`.
        """
        about = await self.published(looker, project, name, number)

        async def make() -> bytes:
            async with self._turns.turn(looker.name):
                notebook = await self.shelves.one(
                    looker, project, lambda store: _read(store, about)
                )
                return (await self._render(notebook)).encode()

        # Of this project alone: who knows a checksum must not get what has it elsewhere.
        place = location_of(looker.collaboration, project)
        return await self._pages.get((place, about.sha256), make)

    async def picture(self, looker: Looker, project: str, name: str, number: int | None) -> bytes:
        """A notebook's picture, as PNG; raises as `shown`, also where there is no picture."""

        def look(store: S3Store) -> bytes | None:
            return catalog.preview(store, _find(store, project, name, number))

        # Before anything that is kept is looked at.
        await self.shelves.require(looker, project)
        picture = await self._pictures.get(
            (looker.name, location_of(looker.collaboration, project), name, number),
            lambda: self.shelves.one(looker, project, look),
        )
        if picture is None:
            raise NothingHere("this notebook has no picture")
        return picture

    async def _reach(self, looker: Looker, published: Published) -> Reach:
        uses = list(dict.fromkeys(one.partition("/")[0] for one in published.datasets))[:_USES]
        issuer, now = self.shelves.issuer, datetime.now(UTC)
        try:
            members = await issuer.members.everybody()
        except ServiceUnavailable as problem:
            return Reach(None, str(problem))
        everybody = (person_of(looker.collaboration, one) for one in members)
        people = [person for person in everybody if person.teams]
        found = await asyncio.to_thread(
            recipients, looker.collaboration, people[:_PEOPLE], published.project, uses, now
        )
        return Reach(found, more=max(0, len(people) - _PEOPLE))


class Pages:
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
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._making = Recent(16, 1.0)
        self._refused: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The page of `key`; `make` makes it where it is not kept.

        Raises
        ------
        Unrenderable
            If `make` raised that, a while ago perhaps: it may have taken long to find out.
        Exception
            What else `make` raised.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        at, refusal = self._refused.get(key, (-math.inf, ""))
        if self._clock() - at < _REFUSED_SECONDS:
            raise Unrenderable(refusal)
        try:
            page = await self._making.get(key, make)
        except Unrenderable as problem:
            remember(self._refused, key, (self._clock(), str(problem)), _REFUSED_KEPT)
            raise
        # Pages are large: only those that are counted are kept.
        self._making.forget(key)
        if key not in self._kept:
            self._keep(key, page)
        return page

    def _keep(self, key: Hashable, page: bytes) -> None:
        self._kept[key] = page
        self._size += len(page)
        while self._size > self._most:
            self._size -= len(self._kept.popitem(last=False)[1])


def number_of(text: str) -> int | None:
    """The version that an address asks for; `None` for the newest.

    Raises
    ------
    NothingHere
        If it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= LAST_NUMBER):
        raise NothingHere("there is no such version; a version is a number, such as 3")
    return int(text)


def card_json(card: Card) -> dict[str, Any]:
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


def _cards(store: S3Store, project: str) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    listed = catalog.listing(store, project)
    cards = tuple(Card(_light(one.latest), len(one.versions)) for one in listed.notebooks)
    return cards, shortened(map(str, listed.troubles))


def _light(published: Published) -> Published:
    """Without what is long, which the page of the notebook shows."""
    return replace(
        published,
        description=published.description[:_DESCRIPTION],
        note="",
        environment=replace(published.environment, packages=()),
    )


@contextmanager
def _nothing_else() -> Iterator[None]:
    """Say of what is not there, or is not what it should be, that nothing is here."""
    try:
        yield
    except (NotPublished, Malformed) as problem:
        raise NothingHere(str(problem)) from problem


def _find(store: S3Store, project: str, name: str, number: int | None) -> Published:
    with _nothing_else():
        return catalog.find(store, project, name, number)


def _read(store: S3Store, about: Published) -> bytes:
    with _nothing_else():
        return catalog.read(store, about)


def _use(looker: Looker, name: str) -> Use:
    project = name.partition("/")[0]
    if project not in looker.accesses:
        return Use(name, (Reason("no-such-project", project),))
    return Use(name, () if project in looker.open else looker.accesses[project].reasons)
