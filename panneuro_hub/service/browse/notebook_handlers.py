"""The pages and the API of published notebooks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from jupyterhub.utils import get_browser_protocol
from tornado import web
from tornado.iostream import StreamClosedError

from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.accounts.hub_users import HubUsers
from panneuro_hub.service.browse.browse_pages import (
    render_copy_targets,
    render_notebook,
    render_notebooks,
)
from panneuro_hub.service.browse.copy_targets import find_copy_targets
from panneuro_hub.service.browse.dataset_handlers import BrowseHandler, BrowsePageHandler
from panneuro_hub.service.browse.notebook_renderer import NOTEBOOK_POLICY
from panneuro_hub.service.browse.notebook_views import (
    NotebookBrowser,
    format_card,
    parse_version_number,
)
from panneuro_hub.service.web.base_handlers import ApiHandler, answer_errors
from panneuro_hub.service.web.page_rendering import render_problem
from panneuro_hub.wire.refusal import Refusal

# A server that has just been started or stopped must be seen.
_FRESH = 1.0  # seconds
_PIECE = 2**18  # bytes that are sent at a time


class NotebookBaseHandler(BrowseHandler):
    """What people ask about notebooks."""

    def initialize(  # type: ignore[override]
        self, accesses: AccessLookup, notebooks: NotebookBrowser
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses, notebooks.browser)
        self.notebooks = notebooks

    @property
    def version_number(self) -> int | None:
        """The version that is asked for; `None` for the newest.

        Raises
        ------
        NothingHere
            If it is no number.
        """
        return parse_version_number(self.get_query_argument("version", ""))


class NotebookBrowsePageHandler(NotebookBaseHandler, BrowsePageHandler):
    """The same, for a browser."""


class NotebookListHandler(NotebookBaseHandler, ApiHandler):
    """``GET /api/notebooks``: the notebooks that a person can read."""

    @answer_errors
    async def get(self) -> None:
        """Answer with them, and with the projects that cannot be read."""
        found = await self.notebooks.search_notebooks(await self.load_viewer(), *self.query)
        self.finish(found.to_json("notebooks", format_card))


class NotebookListPageHandler(NotebookBrowsePageHandler):
    """``GET /notebooks``: the same, for a browser."""

    problem = "The notebooks cannot be shown now"

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show them."""
        found = await self.notebooks.search_notebooks(await self.load_viewer(), *self.query)
        self.finish(render_notebooks(found, self.page_context))


class NotebookPageHandler(NotebookBrowsePageHandler):
    """``GET /notebooks/PROJECT/NAME``: one of them, with its history and what it uses."""

    problem = "This notebook cannot be shown"
    takes_frames = True

    @web.authenticated
    @answer_errors
    async def get(self, project: str, name: str) -> None:
        """Show it."""
        viewer = await self.load_viewer()
        view = await self.notebooks.load_notebook(viewer, project, name, self.version_number)
        origin = f"{get_browser_protocol(self.request)}://{self.request.host}"
        self.finish(render_notebook(view, viewer, self.page_context, origin))


class CopyPageHandler(NotebookBrowsePageHandler):
    """``GET /copies/PROJECT/NAME``: to the server that opens a copy, or to starting one.

    Nothing is started or copied by it: in the start form and in JupyterLab the person
    says so.
    """

    problem = "A copy of this notebook cannot be opened"

    def initialize(  # type: ignore[override]
        self, accesses: AccessLookup, notebooks: NotebookBrowser, hub_users: HubUsers
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses, notebooks)
        self.hub_users = hub_users

    @web.authenticated
    @answer_errors
    async def get(self, project: str, name: str) -> None:
        """Go there at once, or let the person choose."""
        viewer = await self.load_viewer()
        published = await self.notebooks.find_record(viewer, project, name, self.version_number)
        member = await self.hub_users.require_member(viewer.name, within=_FRESH)
        targets = find_copy_targets(member, published, self.hub_auth.hub_prefix)
        if targets.direct_url:
            self.redirect(targets.direct_url)
        else:
            self.finish(render_copy_targets(targets, published, self.page_context))


class RenderedNotebookHandler(NotebookBrowsePageHandler):
    """``GET /rendered/PROJECT/NAME``: the notebook itself, for a frame of its page.

    Whatever it holds, its policy makes a browser take it for a picture of one: it runs
    nothing, asks for nothing and belongs to no site.
    """

    problem = "This notebook cannot be shown"
    takes_frames = True

    @web.authenticated
    @answer_errors
    async def get(self, project: str, name: str) -> None:
        """Answer with the page that was made of it."""
        viewer = await self.load_viewer()
        page = await self.notebooks.render_page(viewer, project, name, self.version_number)
        self.set_header("Content-Security-Policy", NOTEBOOK_POLICY)
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

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with one sentence, which the notebook's own page may show in its frame."""
        policy = self.policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        self.set_header("Content-Security-Policy", policy)
        self.finish(render_problem(self.problem, refusal.message))


class NotebookPreviewHandler(NotebookBaseHandler, ApiHandler):
    """``GET /previews/PROJECT/NAME``: a picture out of a notebook, always a PNG."""

    takes_images = True

    @answer_errors
    async def get(self, project: str, name: str) -> None:
        """Answer with the picture."""
        picture = await self.notebooks.load_preview(
            await self.load_viewer(), project, name, self.version_number
        )
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.clear_header("Cross-Origin-Opener-Policy")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Type", "image/png")
        self.finish(picture)


def build_notebook_routes(
    prefix: str, accesses: AccessLookup, hub_users: HubUsers, notebooks: NotebookBrowser
) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"accesses": accesses, "notebooks": notebooks}
    return [
        (rf"{prefix}/api/notebooks", NotebookListHandler, given),
        (rf"{prefix}/notebooks/?", NotebookListPageHandler, given),
        (rf"{prefix}/notebooks/([^/]+)/(.+)", NotebookPageHandler, given),
        (rf"{prefix}/rendered/([^/]+)/(.+)", RenderedNotebookHandler, given),
        (rf"{prefix}/previews/([^/]+)/(.+)", NotebookPreviewHandler, given),
        (rf"{prefix}/copies/([^/]+)/(.+)", CopyPageHandler, {**given, "hub_users": hub_users}),
    ]
