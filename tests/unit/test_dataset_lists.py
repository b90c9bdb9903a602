"""What `panneuro datasets` says, of one project and of all."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from panneuro_hub.catalog import DatasetRecord
from panneuro_hub.catalog.dataset_records import CatalogListing, CatalogProblem, RebuildResult
from panneuro_hub.client import api
from panneuro_hub.client.api import ListingTable, describe_rebuild
from panneuro_hub.client.command import main
from panneuro_hub.errors import AccessDeniedError


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (RebuildResult((), (), 0, 0, ()), "The catalog of nav was right: 0 records."),
        (RebuildResult((), (), 1, 0, ()), "The catalog of nav was right: 1 record."),
        (
            RebuildResult(("a",), (), 2, 0, ()),
            "The catalog of nav is made anew: 1 record written anew (a), 2 records right already.",
        ),
        (
            RebuildResult(tuple("abcdef"), ("k",), 0, 0, ()),
            "The catalog of nav is made anew: 6 records written anew (a, b, c, d, e, …), "
            "1 record removed that had no dataset, 0 records right already.",
        ),
        (
            RebuildResult((), (), 0, 1, (CatalogProblem("k", "no JSON"),)),
            "The catalog of nav is made anew: 0 records right already, 1 not looked at, since "
            "the manifest cannot be read.",
        ),
    ],
)
def test_what_was_done_is_said(made: RebuildResult, words: str) -> None:
    assert describe_rebuild("nav", made) == words


@pytest.fixture
def three_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which one is closed by now, and one has something damaged."""

    def datasets(project: str) -> ListingTable:
        if project == "closed":
            raise AccessDeniedError("closed cannot be read: your membership has ended")
        problems = ("x.json: it is not JSON",) if project == "stimuli" else ()
        return ListingTable(
            [("one", "zarr", "1.0 kB", "A\x1b[31m title")], {"project": project}, problems
        )

    names: list[tuple[str, ...]] = [(name, "read", "") for name in ("closed", "nav", "stimuli")]
    monkeypatch.setattr(api, "list_projects", lambda: ListingTable(names, []))
    monkeypatch.setattr(api, "list_datasets", datasets)


def said(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["datasets", *arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.usefixtures("three_projects")
def test_all_projects_are_listed_with_what_could_not_be() -> None:
    listed = said()

    assert listed.stdout.splitlines() == [
        "nav/one      zarr  1.0 kB  A\\x1b[31m title",
        "stimuli/one  zarr  1.0 kB  A\\x1b[31m title",
    ]
    assert listed.stderr.splitlines() == [
        "closed cannot be read: your membership has ended",
        "stimuli: x.json: it is not JSON",
    ]
    assert json.loads(said("--json").stdout) == [{"project": "nav"}, {"project": "stimuli"}]


def test_a_request_to_wait_is_shown_until_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(dataset: str, until: date | None) -> DatasetRecord:
        return DatasetRecord(
            dataset=dataset,
            project="nav",
            format="zarr",
            created=datetime(2026, 11, 2, tzinfo=UTC),
            created_by="ada",
            title="Title",
            asks_to_wait_until=until,
            size=1,
            files_count=1,
            sha256="0" * 64,
            manifest_sha256="0" * 64,
        )

    found = (
        record("free", None),
        record("over", date(2020, 1, 1)),
        record("waits", date(2999, 1, 1)),
    )

    class Transfer:
        def catalog(self) -> CatalogListing:
            return CatalogListing(found, (), ())

        def __enter__(self) -> Transfer:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(api, "_open_transfer", lambda *_, **__: Transfer())

    assert [row[-1] for row in api.list_datasets("nav").table] == [
        "Title",
        "Title",
        "Title (author asks to wait until 2999-01-01)",
    ]
