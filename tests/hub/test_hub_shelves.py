"""Datasets and notebooks on the pages of a real hub, with keys of the person who looks."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from hubs import Ground, Hub
from obstore.store import S3Store
from people import Person, ask, at, logged_in, start_form, watch
from yarl import URL

from panneuro_hub.catalog import FileRow, Manifest
from panneuro_hub.catalog.dataset_keys import RECORDS_FOLDER
from panneuro_hub.catalog.dataset_records import publish_dataset
from panneuro_hub.catalog.notebook_records import NotebookEnvironment, NotebookRecord
from panneuro_hub.catalog.notebook_store import publish_version as publish_notebook
from panneuro_hub.devstack.seaweedfs import SeaweedFS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "/services/panneuro"
CREATED = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
NOTEBOOK = json.dumps(
    {
        "cells": [
            {
                "cell_type": "code",
                "id": "one",
                "source": "lab.open('nhp-navigation/pages-day')",
                "metadata": {},
                "execution_count": 1,
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"text/html": "<script>alert(1)</script><b>found</b>"},
                    }
                ],
            }
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
).encode()


def store_of(store: SeaweedFS, project: str) -> S3Store:
    """A project's store, for who may write all of it."""
    key, secret = store.admin
    return S3Store(
        store.bucket,
        prefix=f"{project}/",
        config={
            "endpoint": store.endpoint_url,
            "region": store.region,
            "access_key_id": key,
            "secret_access_key": secret,
        },
        client_options={"allow_http": True},
    )


@pytest.fixture(scope="module")
def filled(ground: Ground) -> Iterator[None]:
    """A dataset and a notebook in two projects; they are gone in the end."""
    stores = {
        name: store_of(ground.store, name) for name in ("nhp-navigation", "human-intracranial")
    }
    for project, dataset in (
        ("nhp-navigation", "pages-day"),
        ("human-intracranial", "release-2026/pages-ecog"),
    ):
        stores[project].put(f"{dataset}/a.bin", b"data")
        files = (FileRow("a.bin", 4, hashlib.sha256(b"data").hexdigest()),)
        publish_dataset(
            stores[project],
            Manifest(
                dataset=dataset, project=project, format="files", created=CREATED,
                created_by="<b>ada", title=f"Title of {dataset}", files=files,
            ),
        )  # fmt: skip
        publish_notebook(
            stores[project],
            NOTEBOOK,
            NotebookRecord(
                project=project, name="pages-tuning", number=1, created=CREATED, created_by="ada",
                size=len(NOTEBOOK), sha256=hashlib.sha256(NOTEBOOK).hexdigest(), title="Tuning",
                environment=NotebookEnvironment(image="neuro"),
                datasets=("nhp-navigation/pages-day", "human-intracranial/release-2026/pages-ecog"),
            ),
        )  # fmt: skip
    yield
    for store in stores.values():
        for page in store.list():
            store.delete(
                [
                    meta["path"]
                    for meta in page
                    if RECORDS_FOLDER in meta["path"] or "pages-" in meta["path"]
                ]
            )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(hub: Hub, filled: None) -> AsyncIterator[Person]:
    """Somebody who may read nhp-navigation and no more."""
    async with logged_in(hub, hub.ground.register("rita", "theory")) as person:
        yield person


async def test_a_reader_finds_what_is_there(hub: Hub, reader: Person) -> None:
    page = await reader.visitor.open(f"{SERVICE}/datasets")
    assert page.status == 200
    assert "Title of pages-day" in page.text
    assert "<b>ada" not in page.body
    assert "pages-ecog" not in page.body
    assert "human-subjects-trained" in page.text
    page = await reader.visitor.open(f"{SERVICE}/datasets/nhp-navigation/pages-day")
    assert "a.bin" in page.text
    found = await ask(
        "GET", f"{hub.service_url}/api/datasets?q=pages", authorization=f"token {reader.token}"
    )
    assert [one["name"] for one in found.json["datasets"]] == ["nhp-navigation/pages-day"]
    rows = [row for row in hub.ledger("rita") if row["project"] == "nhp-navigation"]
    assert {(row["event"], row["session"]) for row in rows} == {("issue", "page")}
    for row in rows:
        assert json.loads(row["grants"]) == [["read", "s3://learning-circuits/nhp-navigation/"]]
        assert row["reason"].startswith("page: ")
    keys = {row["access_key_id"] for row in rows}
    assert not any(key in page.body for key in keys)


async def test_a_notebook_is_shown_and_its_script_is_not(hub: Hub, reader: Person) -> None:
    gallery = await reader.visitor.open(f"{SERVICE}/notebooks?q=pages")
    assert "Tuning" in gallery.text
    page = await reader.visitor.open(f"{SERVICE}/notebooks/nhp-navigation/pages-tuning")
    assert page.status == 200
    assert "you cannot read it: you are not in human-subjects-trained" in page.text
    # rita is whom the hub knows in a team of the project.
    assert "Who cannot read it in a session of nhp-navigation" in page.text
    assert "rita" in page.text.partition("Who cannot read it")[2]
    shown = await reader.visitor.open(f"{SERVICE}/rendered/nhp-navigation/pages-tuning")
    assert shown.status == 200
    assert "found" in shown.text
    assert "<script" not in shown.body


@pytest.mark.parametrize(
    "path",
    [
        "datasets/human-intracranial/release-2026/pages-ecog",
        "datasets?project=human-intracranial",
        "notebooks/human-intracranial/pages-tuning",
        "rendered/human-intracranial/pages-tuning",
        "copies/human-intracranial/pages-tuning",
    ],
)
async def test_a_stranger_is_refused_in_words(hub: Hub, reader: Person, path: str) -> None:
    page = await reader.visitor.open(f"{SERVICE}/{path}")
    assert page.status == 403
    assert "you are not in human-subjects-trained" in page.text
    assert "Title of" not in page.body
    rows = [row for row in hub.ledger("rita") if row["project"] == "human-intracranial"]
    assert {(row["event"], row["session"]) for row in rows} == {("refusal", "")}


async def test_who_may_sees_that_it_is_frozen(hub: Hub, filled: None) -> None:
    async with logged_in(hub, "grace") as grace:
        page = await grace.visitor.open(
            f"{SERVICE}/datasets/human-intracranial/release-2026/pages-ecog"
        )
    assert "It is frozen: nobody changes it any more." in page.text


async def test_a_copy_starts_nothing_until_the_person_says_so(hub: Hub, filled: None) -> None:
    copies = f"{SERVICE}/copies/nhp-navigation/pages-tuning"
    async with at(hub, hub.ground.register("cora", "navigation")) as cora:
        page = await cora.visitor.open(copies)
        assert page.url.path == "/hub/spawn/cora"
        assert "open a copy of the notebook nhp-navigation/pages-tuning@1" in page.text
        assert (await watch(hub, "/users/cora"))["servers"] == {}
        form = start_form(page)
        assert form.fields["project"].value == "nhp-navigation"
        started = await cora.visitor.send(page, form, {})
        assert started.status == 200
        await cora.ready()
        assert (await cora.running()).project == "nhp-navigation"
        # The hub takes the person on to JupyterLab, which is told of the copy: at once, or by way
        # of the page that shows how far the server is.
        on = URL(started.url.query.get("next", started.url.path_qs))
        assert on.path == "/user/cora/lab"
        assert on.query["panneuro-copy"] == "nhp-navigation/pages-tuning@1"
        again = await cora.visitor.open(copies)
        assert again.url.path == "/user/cora/lab"
        assert again.url.query["panneuro-copy"] == "nhp-navigation/pages-tuning@1"
        await cora.stop()
        await cora.start({"project": "shared-stimuli"})
        page = await cora.visitor.open(copies)
        assert "Your default server works in shared-stimuli" in page.text
        assert "This hub lets you have one server at a time." in page.text


async def test_where_there_may_be_more_servers_one_is_offered(
    make_hub: Callable[..., Hub], filled: None
) -> None:
    copies = f"{SERVICE}/copies/nhp-navigation/pages-tuning"
    with make_hub("c.JupyterHub.allow_named_servers = True") as hub:
        async with at(hub, "ada") as ada:
            await ada.start({"project": "shared-stimuli"})
            page = await ada.visitor.open(copies)
            assert "one server at a time" not in page.text
            (start,) = re.findall(r'href="(/hub/spawn/[^"]+)"', page.body)
            page = await ada.visitor.open(html.unescape(start))
            assert page.url.path == "/hub/spawn/ada/nhp-navigation"
            assert page.status == 200
            assert start_form(page).fields["project"].value == "nhp-navigation"
            assert list((await watch(hub, "/users/ada"))["servers"]) == [""]
