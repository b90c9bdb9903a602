"""The pages and the API of published notebooks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from jupyterhub.utils import get_browser_protocol
from tornado import web
from tornado.iostream import StreamClosedError

from panneuro_hub.service.copies import ways_to
from panneuro_hub.service.data_pages import ShelfHandler, ShelfPage
from panneuro_hub.service.handlers import ApiHandler, in_words
from panneuro_hub.service.notebooks import Notebooks, card_json, number_of
from panneuro_hub.service.page import render_gallery, render_notebook, render_problem, render_ways
from panneuro_hub.service.rendering import POLICY

# A server that has just been started or stopped must be seen.
_FRESH = 1.0  # seconds
_PIECE = 2**18  # bytes that are sent at a time


class NotebookHandler(ShelfHandler):
    """What people ask about notebooks."""

    def initialize(self, notebooks: Notebooks) -> None:  # type: ignore[override]
        """Take what the application was made with."""
        super().initialize(notebooks.shelves)
        self.notebooks = notebooks

    @property
    def number(self) -> int | None:
        """The version that is asked for; `None` for the newest.

        Raises
        ------
        NothingHere
            If it is no number.
        """
        return number_of(self.get_query_argument("version", ""))


class NotebookShelfPage(NotebookHandler, ShelfPage):
    """The same, for a browser."""


class GalleryHandler(NotebookHandler, ApiHandler):
    """``GET /api/notebooks``: the notebooks that a person can read."""

    @in_words
    async def get(self) -> None:
        """Answer with them, and with the projects that cannot be read."""
        found = await self.notebooks.gallery(await self.looker(), *self.asked)
        self.finish(found.to_json("notebooks", card_json))


class GalleryPage(NotebookShelfPage):
    """``GET /notebooks``: the same, for a browser."""

    problem = "The notebooks cannot be shown now"

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show them."""
        found = await self.notebooks.gallery(await self.looker(), *self.asked)
        self.finish(render_gallery(found, self.around))


class NotebookPage(NotebookShelfPage):
    """``GET /notebooks/PROJECT/NAME``: one of them, with its history and what it uses."""

    problem = "This notebook cannot be shown"
    takes_frames = True

    @web.authenticated
    @in_words
    async def get(self, project: str, name: str) -> None:
        """Show it."""
        looker = await self.looker()
        shown = await self.notebooks.shown(looker, project, name, self.number)
        origin = f"{get_browser_protocol(self.request)}://{self.request.host}"
        self.finish(render_notebook(shown, looker, self.around, origin))


class CopyPage(NotebookShelfPage):
    """``GET /copies/PROJECT/NAME``: to the server that opens a copy, or to starting one.

    Nothing is started or copied by it: in the start form and in JupyterLab the person
    says so.
    """

    problem = "A copy of this notebook cannot be opened"

    @web.authenticated
    @in_words
    async def get(self, project: str, name: str) -> None:
        """Go there at once, or let the person choose."""
        looker = await self.looker()
        published = await self.notebooks.published(looker, project, name, self.number)
        member = await self.issuer.members.known(looker.name, within=_FRESH)
        ways = ways_to(member, published, self.hub_auth.hub_prefix)
        if ways.straight:
            self.redirect(ways.straight)
        else:
            self.finish(render_ways(ways, published, self.around))


class RenderedHandler(NotebookShelfPage):
    """``GET /rendered/PROJECT/NAME``: the notebook itself, for a frame of its page.

    Whatever it holds, its policy makes a browser take it for a picture of one: it runs
    nothing, asks for nothing and belongs to no site.
    """

    problem = "This notebook cannot be shown"
    takes_frames = True

    @web.authenticated
    @in_words
    async def get(self, project: str, name: str) -> None:
        """Answer with the page that was made of it."""
        looker = await self.looker()
        page = await self.notebooks.page(looker, project, name, self.number)
        self.set_header("Content-Security-Policy", POLICY)
        # Browsers show no page in a tab that has both; the sandbox keeps everybody out.
        self.clear_header("Cross-Origin-Opener-Policy")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-DNS-Prefetch-Control", "off")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Length", str(len(page)))
        # A browser that reads slowly, or not at all, must not hold a copy of it in memory.
        with suppress(StreamClosedError):
            for start in range(0, len(page), _PIECE):
                self.write(page[start : start + _PIECE])
                await self.flush()

    def say(self, message: str) -> None:
        """Finish with one sentence, which the notebook's own page may show in its frame."""
        policy = self.policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        self.set_header("Content-Security-Policy", policy)
        self.finish(render_problem(self.problem, message))


class PictureHandler(NotebookHandler, ApiHandler):
    """``GET /previews/PROJECT/NAME``: a picture out of a notebook, always a PNG."""

    takes_images = True

    @in_words
    async def get(self, project: str, name: str) -> None:
        """Answer with the picture."""
        picture = await self.notebooks.picture(await self.looker(), project, name, self.number)
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.clear_header("Cross-Origin-Opener-Policy")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Type", "image/png")
        self.finish(picture)


def routes(prefix: str, notebooks: Notebooks) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"notebooks": notebooks}
    return [
        (rf"{prefix}/api/notebooks", GalleryHandler, given),
        (rf"{prefix}/notebooks/?", GalleryPage, given),
        (rf"{prefix}/notebooks/([^/]+)/(.+)", NotebookPage, given),
        (rf"{prefix}/rendered/([^/]+)/(.+)", RenderedHandler, given),
        (rf"{prefix}/previews/([^/]+)/(.+)", PictureHandler, given),
        (rf"{prefix}/copies/([^/]+)/(.+)", CopyPage, given),
    ]
