"""The pages and the API of datasets: what can be read, what cannot, and that all of it is text."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import GenericError
from small_browser import BUCKET, CREATED, SmallStore
from small_hub import SmallHub, member
from small_service import SECRET, SmallService, project_reader, small_service
from small_site import Site, body, hub_of, read, small_site

from panneuro_hub.access import Person, decide_all_accesses
from panneuro_hub.catalog import DatasetRecord, FileRow, Manifest, make_record_key
from panneuro_hub.catalog.dataset_records import ReadLimits, list_catalog
from panneuro_hub.catalog.dataset_rows import DatasetRow
from panneuro_hub.catalog.json_fields import is_visible
from panneuro_hub.catalog.manifest import FileReplacement
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.service.browse.browse_pages import render_dataset, render_datasets
from panneuro_hub.service.browse.dataset_views import DatasetView
from panneuro_hub.service.browse.notebook_views import NotebookBrowser
from panneuro_hub.service.browse.project_browser import PageViewer, ProjectBrowser, SearchResult
from panneuro_hub.service.browse.project_reader import ProjectReader
from panneuro_hub.service.web.page_rendering import PageContext

pytest_plugins = ["service_fixtures"]

AROUND = PageContext("/hub/", "/services/panneuro/")
PEOPLE = {
    "ada": ["navigation-lab"],
    "tomas": ["theory-lab"],
    "grace": ["human-lab", "human-subjects-trained"],
    "zoe": [],
}


@pytest.fixture
def stored() -> SmallStore:
    """Five datasets: ordinary, with a request to wait, frozen twice, and not complete."""
    stored = SmallStore()
    stored.put("nhp-navigation", "rest", title="Resting state", asks_to_wait_until=date(2999, 1, 1))
    stored.put("nhp-navigation", "2026/receptor", title="Receptor", format="zarr")
    stored.begin("nhp-navigation", "session-13")
    stored.put("human-intracranial", "release-2026/ecog", title="ECoG", created_by="grace")
    stored.put("human-intracranial", "open", title="Not frozen", created_by="grace")
    return stored


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with hub_of(PEOPLE) as hub:
        yield hub


@pytest.fixture
async def site(service: SmallService, stored: SmallStore) -> AsyncIterator[Site]:
    viewing = project_reader(service, open_store=stored.open)
    notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users)
    async with small_site(service, notebooks=notebooks) as (url, secret):
        yield Site(url, secret)
    await viewing.close()


async def names(site: Site, person: str, query: str = "") -> list[str]:
    answer = read(await site.get_as(person, f"/api/datasets{query}"))
    return [one["name"] for one in answer["datasets"]]


async def test_everybody_finds_what_is_theirs_to_read(site: Site) -> None:
    navigation = [
        "nhp-navigation/2026/receptor",
        "nhp-navigation/rest",
        "nhp-navigation/session-13",
    ]
    assert await names(site, "ada") == navigation
    assert await names(site, "tomas") == navigation
    assert await names(site, "grace") == [
        "human-intracranial/open",
        "human-intracranial/release-2026/ecog",
    ]
    assert await names(site, "zoe") == []
    assert await names(site, "ada", "?q=RESTING%20state") == ["nhp-navigation/rest"]
    assert await names(site, "ada", "?q=resting%20zarr") == []
    assert await names(site, "ada", "?project=shared-stimuli") == []


def with_embargo_until(day: str, example: Path, path: Path) -> Path:
    """Write the example with another day for its embargo, so that no test waits for a day."""
    text = example.read_text(encoding="utf-8")
    assert text.count("until: 2027-06-01") == 1
    path.write_text(text.replace("until: 2027-06-01", f"until: {day}"), encoding="utf-8")
    return path


@pytest.mark.parametrize(("day", "readable"), [("2999-01-01", False), ("2020-01-01", True)])
async def test_a_project_under_embargo_is_in_no_list_search_or_page_of_its_readers(
    hub: SmallHub,
    stored: SmallStore,
    tmp_path: Path,
    example_file: Path,
    day: str,
    readable: bool,
) -> None:
    stored.put("nhp-categorization", "cats", title="Categories")
    collaboration = with_embargo_until(day, example_file, tmp_path / "collaboration.yaml")
    async with small_service(hub, tmp_path, collaboration) as service:
        viewing = ProjectReader(
            service.parts.vending, service.parts.refusals, open_store=stored.open
        )
        notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users)
        async with small_site(service, notebooks=notebooks) as (url, secret):
            site = Site(url, secret)
            found = await names(site, "tomas")
            assert ("nhp-categorization/cats" in found) == readable
            assert (await names(site, "tomas", "?q=categories") != []) == readable
            page = await site.get_as("tomas", "/datasets/nhp-categorization/cats")
            assert page.code == (200 if readable else 403)
            assert ("Categories" in body(page)) == readable
            closed = read(await site.get_as("tomas", "/api/datasets"))["closed"]
        await viewing.close()
    reasons = [one["reason"] for one in closed if one["project"] == "nhp-categorization"]
    expected = f"theory-lab has read in nhp-categorization from {day}, when its embargo ends"
    assert reasons == ([] if readable else [expected])
    opened = {prefix for prefix, _ in stored.opened}
    assert (f"{BUCKET}nhp-categorization/" in opened) == readable


async def test_the_api_says_what_is_known(site: Site) -> None:
    answer = read(await site.get_as("ada", "/api/datasets"))
    assert (answer["user"], answer["count"], answer["notes"]) == ("ada", 3, [])
    _, rest, begun = answer["datasets"]
    assert rest["state"] == "author asks to wait until 2999-01-01"
    assert rest["asks_to_wait_until"] == "2999-01-01"
    assert "embargo_until" not in rest
    assert (rest["bytes"], rest["files_count"], rest["created_by"]) == (693_000, 1, "ada")
    assert rest["created"] == "2026-11-02T09:15:00Z"
    assert (begun["complete"], begun["title"], begun["bytes"]) == (False, None, None)
    assert begun["upload"] == {"by": "bee", "began": "2026-11-02T09:15:00Z"}
    assert begun["state"] == "not complete (by bee, since 2026-11-02 09:15)"
    closed = {one["project"]: one for one in answer["closed"]}
    assert set(closed) == {"nhp-categorization", "human-intracranial"}
    assert closed["human-intracranial"]["ask"] == ["Human intracranial laboratories"]
    assert "human-subjects-trained" in closed["human-intracranial"]["reason"]
    frozen = {
        one["name"]: one["frozen"]
        for one in read(await site.get_as("grace", "/api/datasets"))["datasets"]
    }
    assert frozen == {
        "human-intracranial/open": False,
        "human-intracranial/release-2026/ecog": True,
    }


async def test_the_page_shows_them_and_what_is_closed(site: Site) -> None:
    page = await site.get_as("ada", "/datasets")
    text = body(page)
    assert page.code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "script" not in text
    for shown in ("Resting state", "author asks to wait until 2999-01-01", "not complete (by bee"):
        assert shown in text
    assert "Human ECoG and single units" in text
    assert "Ask Human intracranial laboratories." in text
    assert "ECoG</a>" not in text
    assert SECRET not in text


async def test_what_was_listed_a_moment_ago_is_nobodys_whose_access_has_ended(
    site: Site, service: SmallService
) -> None:
    assert len(await names(site, "ada", "?project=nhp-navigation")) == 3
    made = service.maker.made
    assert len(await names(site, "ada", "?project=nhp-navigation")) == 3
    assert service.maker.made == made
    service.hub.users["ada"] = member("ada")
    assert (await site.get_as("ada", "/api/datasets?project=nhp-navigation")).code == 403
    assert await names(site, "ada") == []


async def test_one_dataset(site: Site) -> None:
    text = body(await site.get_as("ada", "/datasets/nhp-navigation/2026/receptor"))
    assert 'lab.open("nhp-navigation/2026/receptor")' in text
    assert "panneuro download nhp-navigation/2026/receptor ./receptor" in text
    assert "a.bin" in text
    text = body(await site.get_as("ada", "/datasets/nhp-navigation/rest"))
    assert "Its author asks you not to use it before 2999-01-01. This is a request" in text
    assert "not a lock: everybody who can read nhp-navigation can open it." in text
    assert "embargo" not in text.lower()
    text = body(await site.get_as("ada", "/datasets/nhp-navigation/session-13"))
    assert "It is not complete: bee began to send 3 files (3.0 TB)" in text
    assert "incomplete=True" in text
    assert "panneuro download" not in text
    text = body(await site.get_as("grace", "/datasets/human-intracranial/release-2026/ecog"))
    assert "It is frozen: nobody changes it any more." in text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/datasets/human-intracranial/open", 403, "you are not in human-subjects-trained"),
        ("/datasets/human-intracranial/open", 403, "Ask Human intracranial laboratories."),
        ("/datasets?project=human-intracranial", 403, "no access to human-intracranial"),
        ("/api/datasets?project=human-intracranial", 403, "no access to human-intracranial"),
        ("/datasets?project=nix", 404, "there is no project of this name"),
        ("/datasets/nix/a", 404, "there is no project of this name"),
        ("/datasets/nhp-navigation/nix", 404, "nhp-navigation has no dataset of this name"),
        ("/datasets/nhp-navigation/..%2F..%2Fx", 404, "nhp-navigation has no dataset"),
        ("/datasets/nhp-navigation/.panneuro/catalog", 404, "nhp-navigation has no dataset"),
        ("/datasets/nhp-navigation/%00", 404, "nhp-navigation has no dataset"),
        ("/datasets/%3Cb%3E/x", 404, "there is no project of this name"),
    ],
)
async def test_what_is_not_for_them_is_refused_in_words(
    site: Site, path: str, status: int, said: str
) -> None:
    answer = await site.get_as("ada", path)
    assert answer.code == status
    assert said.casefold() in html.unescape(body(answer)).casefold()
    assert "<b>" not in body(answer)


async def test_who_is_not_logged_in_goes_to_the_hub(site: Site) -> None:
    answer = await site.get("/base/services/panneuro/datasets")
    assert answer.code == 302
    assert "/base/hub/" in answer.headers["Location"]
    assert (await site.get("/base/services/panneuro/api/datasets")).code == 403
    assert (await site.get_as("a-service", "/datasets")).code == 403


async def test_a_damaged_catalog_is_told_and_the_rest_is_shown(
    site: Site, stored: SmallStore
) -> None:
    store = stored.of("nhp-navigation")
    store.put(make_record_key("broken"), b"{")
    store.put("rest/.panneuro/manifest.json", b"<script>")
    answer = read(await site.get_as("ada", "/api/datasets"))
    assert answer["count"] == 3
    (note,) = answer["notes"]
    assert note.startswith("nhp-navigation: .panneuro/catalog/broken.json: ")
    text = body(await site.get_as("ada", "/datasets/nhp-navigation/rest"))
    assert "Note: its files cannot be listed here: " in text
    assert "Resting state" in text
    text = body(await site.get_as("ada", "/datasets/nhp-navigation/broken"))
    assert "its record in the catalog" in html.unescape(text)


async def test_a_half_replaced_dataset_is_named_with_its_files(
    site: Site, stored: SmallStore
) -> None:
    changing = (FileReplacement(FileRow("a.bin", 5, "1" * 64), "bee", CREATED),)
    stored.put("nhp-navigation", "cut", changing=changing)
    page = html.unescape(body(await site.get_as("ada", "/datasets/nhp-navigation/cut")))
    assert "it is half replaced: bee began to replace files on" in page
    assert "a.bin" in page


async def test_what_has_no_record_yet_is_shown_from_its_manifest(
    site: Site, stored: SmallStore
) -> None:
    stored.of("nhp-navigation").delete(make_record_key("rest"))
    assert "Resting state" in body(await site.get_as("ada", "/datasets/nhp-navigation/rest"))


async def test_a_store_out_of_reach_is_told_in_words(
    service: SmallService, stored: SmallStore
) -> None:
    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise GenericError("http://10.0.0.1/ is gone")

    stored.roots["s3://learning-circuits/nhp-navigation/"] = Gone()  # type: ignore[assignment]
    viewing = project_reader(service, open_store=stored.open)
    async with small_site(
        service, notebooks=NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users)
    ) as (
        url,
        secret,
    ):
        site = Site(url, secret)
        answer = await site.get_as("ada", "/datasets/nhp-navigation/rest")
        assert answer.code == 503
        assert "Retry-After" in answer.headers
        assert "cannot be read for now" in body(answer)
        assert "10.0.0.1" not in body(answer)
        # Of many projects, the others are shown.
        text = body(await site.get_as("ada", "/datasets"))
        assert "Note: nhp-navigation: the data of nhp-navigation cannot be read for now" in text
    await viewing.close()


def test_no_more_of_a_catalog_is_read_than_was_said(stored: SmallStore) -> None:
    for number in range(20):
        stored.put("p", f"d-{number:02}")
    store = stored.of("p")
    whole = list_catalog(store)
    assert (len(whole.records), whole.problems) == (20, ())
    some = list_catalog(store, ReadLimits(number=5, size=10**6))
    assert len(some.records) == 5
    (trouble,) = some.problems
    assert "only the first 5 records are listed here" in str(trouble)
    one = len(store.get(make_record_key("d-00")).bytes())
    assert len(list_catalog(store, ReadLimits(number=100, size=3 * one)).records) == 3
    assert len(list_catalog(store, ReadLimits(number=20, size=10**6)).records) == 20


# --- all of it is text


class Text(HTMLParser):
    """The tags of a page, and the text outside them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Text:
    parser = Text()
    parser.feed(page)
    return parser


def viewer(example: Collaboration, now: datetime, *teams: str) -> PageViewer:
    """Somebody in these teams."""
    return PageViewer("ada", example, decide_all_accesses(example, Person.of("ada", teams), now))


def record_of(**about: Any) -> DatasetRecord:
    said = {"dataset": "rest", "project": "nhp-navigation", "format": "bids", "created": CREATED}
    files = (FileRow("sub-01/func/sub-01_bold.nii.gz", 693_000, "0" * 64),)
    return DatasetRecord.of(Manifest(**(said | {"created_by": "ada"} | about), files=files))


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'
LINES = st.text(st.characters().filter(is_visible), max_size=40)


def pages_of(example: Collaboration, now: datetime, record: DatasetRecord) -> list[str]:
    """Both pages of one dataset."""
    who = viewer(example, now, "navigation-lab")
    found = DatasetRow(
        f"nhp-navigation/{record.dataset}", "nhp-navigation", record, None, frozen=False
    )
    return [
        render_datasets(SearchResult(who, record.title, "", (found,), 1, (record.title,)), AROUND),
        render_dataset(DatasetView(found, (), 1, (record.title,)), who, AROUND),
    ]


def of_every_text(text: str) -> DatasetRecord:
    """A record whose every field has the same text in it."""
    names = ("title", "created_by", "license", "description", "readme", "citation")
    return record_of(**dict.fromkeys(names, text), subjects=(text,), modalities=(text,))


@given(LINES)
def test_whatever_people_wrote_stays_text(example: Collaboration, text: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    plain = pages_of(example, now, of_every_text("x"))
    for page, before in zip(pages_of(example, now, of_every_text(text)), plain, strict=True):
        assert set(parsed(page).tags) <= set(parsed(before).tags)
        assert set(parsed(page).attributes) <= set(parsed(before).attributes)


def test_nothing_hostile_comes_alive(example: Collaboration, now: datetime) -> None:
    for page in pages_of(example, now, of_every_text(HOSTILE)):
        found = parsed(page)
        assert not {"script", "img", "object"} & set(found.tags)
        assert "onerror" not in found.attributes
        assert HOSTILE in found.text


def test_the_page_of_datasets_as_a_whole(
    example: Collaboration, now: datetime, golden: Callable[[str, str], None]
) -> None:
    who = viewer(example, now, "navigation-lab")
    record = record_of(
        title="Resting <state>", asks_to_wait_until=date(2999, 1, 1), subjects=("a", "b", "c", "d")
    )
    found = DatasetRow("nhp-navigation/rest", "nhp-navigation", record, None, frozen=True)
    page = render_datasets(SearchResult(who, "rest", "", (found,), 7, ("a note",)), AROUND)
    golden("datasets-page.html", page)


def test_the_page_of_a_dataset_as_a_whole(
    example: Collaboration, now: datetime, golden: Callable[[str, str], None]
) -> None:
    who = viewer(example, now, "navigation-lab")
    record = replace(
        record_of(
            title="Resting state",
            description="At rest.",
            readme="# Read me",
            citation="Monkman, A.",
            license="CC0",
            asks_to_wait_until=date(2999, 1, 1),
            subjects=tuple(f"sub-{number:02}" for number in range(60)),
            modalities=("func",),
        ),
        files_count=300,
    )
    found = DatasetRow("nhp-navigation/rest", "nhp-navigation", record, None, frozen=True)
    files = (FileRow("sub-01/a.nii.gz", 2_500_000, "0" * 64),)
    golden("dataset-page.html", render_dataset(DatasetView(found, files, 300, ()), who, AROUND))
