"""The pages and the API of datasets."""

from __future__ import annotations

from typing import Any

from tornado import web

from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.browse.browse_pages import render_dataset, render_datasets
from panneuro_hub.service.browse.dataset_views import (
    format_dataset_row,
    load_dataset_view,
    search_datasets,
)
from panneuro_hub.service.browse.project_browser import PageViewer, ProjectBrowser
from panneuro_hub.service.web.base_handlers import (
    ApiHandler,
    OwnAccessHandler,
    WebPageHandler,
    answer_errors,
)
from panneuro_hub.service.web.page_rendering import render_problem
from panneuro_hub.wire.refusal import Refusal

_LONGEST_QUERY = 200  # characters


class BrowseHandler(OwnAccessHandler):
    """What people ask about what lies in projects."""

    def initialize(  # type: ignore[override]
        self, accesses: AccessLookup, browser: ProjectBrowser
    ) -> None:
        """Take what the application was made with."""
        super().initialize(accesses)
        self.browser = browser

    async def load_viewer(self) -> PageViewer:
        """Who asks, with their access as it is now.

        Raises
        ------
        AccessDeniedError, ServiceUnavailable
            As for `decide_own_access`.
        """
        return PageViewer(*(await self.decide_own_access()))

    @property
    def query(self) -> tuple[str, str]:
        """What is looked for, and in which project; ``""`` for everything and everywhere."""
        query = self.get_query_argument("q", "")[:_LONGEST_QUERY]
        return query, self.get_query_argument("project", "")


class BrowsePageHandler(BrowseHandler, WebPageHandler):
    """The same, for a browser."""

    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    def finish_refusal(self, refusal: Refusal) -> None:
        """Finish with one sentence about what went wrong."""
        self.finish(render_problem(self.problem, refusal.message, page_context=self.page_context))


class DatasetListHandler(BrowseHandler, ApiHandler):
    """``GET /api/datasets``: the datasets that a person can read."""

    @answer_errors
    async def get(self) -> None:
        """Answer with them, and with the projects that cannot be read."""
        found = await search_datasets(self.browser, await self.load_viewer(), *self.query)
        self.finish(found.to_json("datasets", format_dataset_row))


class DatasetListPageHandler(BrowsePageHandler):
    """``GET /datasets``: the same, for a browser."""

    problem = "The datasets cannot be shown now"

    @web.authenticated
    @answer_errors
    async def get(self) -> None:
        """Show them."""
        found = await search_datasets(self.browser, await self.load_viewer(), *self.query)
        self.finish(render_datasets(found, self.page_context))


class DatasetPageHandler(BrowsePageHandler):
    """``GET /datasets/PROJECT/NAME``: one of them."""

    problem = "This dataset cannot be shown"

    @web.authenticated
    @answer_errors
    async def get(self, project: str, name: str) -> None:
        """Show it."""
        viewer = await self.load_viewer()
        found = await load_dataset_view(self.browser, viewer, project, name)
        self.finish(render_dataset(found, viewer, self.page_context))


def build_dataset_routes(prefix: str, accesses: AccessLookup, browser: ProjectBrowser) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"accesses": accesses, "browser": browser}
    return [
        (rf"{prefix}/api/datasets", DatasetListHandler, given),
        (rf"{prefix}/datasets/?", DatasetListPageHandler, given),
        (rf"{prefix}/datasets/([^/]+)/(.+)", DatasetPageHandler, given),
    ]
