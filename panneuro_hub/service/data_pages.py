"""The pages and the API of datasets."""

from __future__ import annotations

from typing import Any

from tornado import web

from panneuro_hub.service.datasets import dataset_of, datasets_of, found_json
from panneuro_hub.service.handlers import ApiHandler, OwnAccessHandler, WebHandler, in_words
from panneuro_hub.service.page import render_dataset, render_datasets, render_problem
from panneuro_hub.service.shelves import Looker, Shelves

_LONGEST_QUERY = 200  # characters


class ShelfHandler(OwnAccessHandler):
    """What people ask about what lies in projects."""

    def initialize(self, shelves: Shelves) -> None:  # type: ignore[override]
        """Take what the application was made with."""
        self.shelves = shelves
        self.issuer = shelves.issuer

    async def looker(self) -> Looker:
        """Who asks, with their access as it is now.

        Raises
        ------
        AccessDenied, ServiceUnavailable
            As for `own_access`.
        """
        return Looker(*(await self.own_access()))

    @property
    def asked(self) -> tuple[str, str]:
        """What is looked for, and in which project; ``""`` for everything and everywhere."""
        query = self.get_query_argument("q", "")[:_LONGEST_QUERY]
        return query, self.get_query_argument("project", "")


class ShelfPage(ShelfHandler, WebHandler):
    """The same, for a browser."""

    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    def say(self, message: str) -> None:
        """Finish with one sentence about what went wrong."""
        self.finish(render_problem(self.problem, message, around=self.around))


class DatasetsHandler(ShelfHandler, ApiHandler):
    """``GET /api/datasets``: the datasets that a person can read."""

    @in_words
    async def get(self) -> None:
        """Answer with them, and with the projects that cannot be read."""
        found = await datasets_of(self.shelves, await self.looker(), *self.asked)
        self.finish(found.to_json("datasets", found_json))


class DatasetsPage(ShelfPage):
    """``GET /datasets``: the same, for a browser."""

    problem = "The datasets cannot be shown now"

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Show them."""
        found = await datasets_of(self.shelves, await self.looker(), *self.asked)
        self.finish(render_datasets(found, self.around))


class DatasetPage(ShelfPage):
    """``GET /datasets/PROJECT/NAME``: one of them."""

    problem = "This dataset cannot be shown"

    @web.authenticated
    @in_words
    async def get(self, project: str, name: str) -> None:
        """Show it."""
        looker = await self.looker()
        found = await dataset_of(self.shelves, looker, project, name)
        self.finish(render_dataset(found, looker, self.around))


def routes(prefix: str, shelves: Shelves) -> list[Any]:
    """The application's routes to all this.

    Parameters
    ----------
    prefix : str
        Path that the service is reached under, without a ``/`` at its end.
    """
    given = {"shelves": shelves}
    return [
        (rf"{prefix}/api/datasets", DatasetsHandler, given),
        (rf"{prefix}/datasets/?", DatasetsPage, given),
        (rf"{prefix}/datasets/([^/]+)/(.+)", DatasetPage, given),
    ]
