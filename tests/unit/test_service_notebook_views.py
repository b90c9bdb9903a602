"""The gallery, the page of a notebook and what is around it: all of it data, and looked at only."""

from __future__ import annotations

import asyncio
import html
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_views import because
from small_browser import CREATED, SmallStore, environment, notebook_of, png
from small_hub import SmallHub
from small_service import SmallService, project_reader
from small_site import PREFIX, Site, body, hub_of, read, small_site
from test_service_dataset_views import AROUND, HOSTILE, LINES, parsed, viewer

from panneuro_hub.access import InaccessibleProject, ProjectRecipients
from panneuro_hub.catalog.dataset_rows import DatasetRow
from panneuro_hub.catalog.notebook_records import NotebookRecord, make_notebook_key
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.service.browse.browse_pages import render_notebook, render_notebooks
from panneuro_hub.service.browse.notebook_renderer import NOTEBOOK_POLICY, UnrenderableNotebookError
from panneuro_hub.service.browse.notebook_views import (
    DatasetUse,
    NotebookBrowser,
    NotebookCard,
    NotebookView,
    RecipientCheck,
    RenderedPageCache,
    parse_version_number,
)
from panneuro_hub.service.browse.project_browser import PageViewer, ProjectBrowser, SearchResult
from panneuro_hub.service.browse.project_reader import ItemNotFoundError

pytest_plugins = ["service_fixtures"]

PEOPLE = {
    "ada": ["navigation-lab"],
    "grace": ["human-lab", "human-subjects-trained"],
    "mina": ["data-science-core", "human-subjects-trained"],
    "tomas": ["theory-lab"],
    "zoe": [],
}
USES = ("nhp-navigation/rest", "human-intracranial/ecog", "shared-stimuli/mazes", "nix/gone")


class Counting:
    """Stands in the place of a renderer, and keeps the notebooks that it was given."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def __call__(self, notebook: bytes) -> str:
        self.seen.append(notebook)
        return f"<p>page {len(self.seen)}"


@pytest.fixture
def stored() -> SmallStore:
    stored = SmallStore()
    stored.share("nhp-navigation", "tuning", title="Tuning", note="first", picture=png())
    stored.share(
        "nhp-navigation",
        "tuning",
        notebook_of("print(2)"),
        title="Tuning of cells",
        created=datetime(2026, 11, 3, tzinfo=UTC),
        environment=environment(),
        datasets=USES,
        picture=png(30, 30),
    )
    stored.share("nhp-navigation", "a/open", title="In a folder", created_by="mina")
    stored.share("human-intracranial", "secret", title="Secret")
    return stored


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with hub_of(PEOPLE) as hub:
        yield hub


@pytest.fixture
def renderer() -> Counting:
    return Counting()


@pytest.fixture
async def site(
    service: SmallService, stored: SmallStore, renderer: Counting
) -> AsyncIterator[Site]:
    viewing = project_reader(service, open_store=stored.open)
    notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users, renderer)
    async with small_site(service, notebooks=notebooks) as (url, secret):
        yield Site(url, secret)
    await viewing.close()


async def test_the_gallery_has_the_newest_of_what_can_be_read(site: Site) -> None:
    answer = read(await site.get_as("ada", "/api/notebooks"))
    assert [one["name"] for one in answer["notebooks"]] == [
        "nhp-navigation/tuning",
        "nhp-navigation/a/open",
    ]
    tuning = answer["notebooks"][0]
    assert (tuning["version"], tuning["versions"], tuning["title"]) == (2, 2, "Tuning of cells")
    assert tuning["datasets"] == list(USES)
    assert {one["project"] for one in answer["closed"]} == {
        "nhp-categorization",
        "human-intracranial",
    }
    found = read(await site.get_as("ada", "/api/notebooks?q=mina+folder"))
    assert [one["name"] for one in found["notebooks"]] == ["nhp-navigation/a/open"]
    text = body(await site.get_as("ada", "/notebooks"))
    assert "previews/nhp-navigation/tuning?version=2" in text
    assert "2 versions" in text
    assert "Secret" not in text


async def test_the_page_of_a_notebook_says_what_is_known(site: Site) -> None:
    answer = await site.get_as("ada", "/notebooks/nhp-navigation/tuning")
    text = body(answer)
    assert answer.code == 200
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    assert 'src="/base/services/panneuro/rendered/nhp-navigation/tuning?version=2"' in text
    assert "<script" not in text
    assert "numpy==2.1.0" in text
    assert "panneuro copy nhp-navigation/tuning@2" in text
    assert "datasets/nhp-navigation/rest" in text
    assert "nix/gone <" in text
    assert "there is no project nix" in text
    plain = html.unescape(text)
    # ada, mina and tomas are in the project; grace and zoe are not.
    assert "This is of the 3 people in nhp-navigation" in plain
    assert "<b>human-intracranial</b>: ada, mina, tomas. " in plain
    assert "nhp-navigation does not read" in plain
    assert "where you have" not in plain
    assert "<b>nix</b>: ada, mina, tomas. " in plain
    assert "grace" not in plain
    old = body(await site.get_as("ada", "/notebooks/nhp-navigation/tuning?version=1"))
    assert "There is a newer one" in old
    assert "rendered/nhp-navigation/tuning?version=1" in old
    assert "No dataset is named in it." in old


async def test_who_can_read_is_not_known_without_the_hub(site: Site, hub: SmallHub) -> None:
    class Broken(dict[str, Any]):
        def values(self) -> Any:
            raise ValueError

    hub.users = Broken(hub.users)
    text = body(await site.get_as("ada", "/notebooks/nhp-navigation/tuning"))
    assert "Who else can read that is not known now: the hub did not say" in text


@pytest.mark.parametrize("where", ["notebooks", "rendered", "previews", "copies"])
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("human-intracranial/secret", 403, "you are not in human-subjects-trained"),
        ("nix/x", 404, "there is no project of this name"),
        ("nhp-navigation/nix", 404, "no"),
        ("nhp-navigation/tuning?version=3", 404, "no"),
        ("nhp-navigation/tuning?version=0", 404, "no"),
        ("nhp-navigation/tuning?version=-1", 404, "a version is a number"),
        ("nhp-navigation/tuning?version=%C2%B2", 404, "a version is a number"),
        ("nhp-navigation/..%2F..%2Fhuman-intracranial%2Fsecret", 404, "no"),
        ("nhp-navigation/%00", 404, "no"),
    ],
)
async def test_what_is_not_there_or_not_for_them_is_refused_in_words(
    site: Site, where: str, path: str, status: int, said: str, renderer: Counting
) -> None:
    answer = await site.get_as("ada", f"/{where}/{path}")
    assert (answer.code, renderer.seen) == (status, [])
    assert said.casefold() in html.unescape(body(answer)).casefold()


async def test_a_rendered_notebook_is_served_so_that_it_does_nothing(
    site: Site, renderer: Counting
) -> None:
    pages = [await site.get_as("ada", "/rendered/nhp-navigation/tuning") for _ in range(3)]
    assert [body(page) for page in pages] == ["<p>page 1"] * 3
    headers = pages[0].headers
    assert headers["Content-Security-Policy"] == NOTEBOOK_POLICY
    assert NOTEBOOK_POLICY.startswith("sandbox ")
    assert "allow-scripts" not in NOTEBOOK_POLICY
    assert "allow-same-origin" not in NOTEBOOK_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Set-Cookie" not in headers
    # Kept by its content: another person of the project gets the same, another version not.
    assert body(await site.get_as("tomas", "/rendered/nhp-navigation/tuning")) == "<p>page 1"
    other = await site.get_as("ada", "/rendered/nhp-navigation/tuning?version=1")
    assert body(other) == "<p>page 2"
    refused = await site.get_as("zoe", "/rendered/nhp-navigation/tuning")
    assert refused.code == 403
    assert len(renderer.seen) == 2


async def test_who_does_not_read_a_page_holds_no_copy_of_it(
    site: Site, renderer: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = "x" * 2**24
    monkeypatch.setattr(Counting, "__call__", lambda self, notebook: asyncio.sleep(0, large))
    whole = await site.get_as("ada", "/rendered/nhp-navigation/tuning")
    assert body(whole) == large
    at = urlsplit(site.url)
    ask = (
        f"GET {PREFIX}/rendered/nhp-navigation/tuning HTTP/1.1\r\nHost: {at.netloc}\r\n"
        "Authorization: token token-of-ada\r\n\r\n"
    )
    waiting = []
    tracemalloc.start()
    try:
        for _ in range(4):
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.write(ask.encode())
            await reader.readuntil(b"\r\n\r\n")
            waiting.append(writer)
        held, _ = tracemalloc.get_traced_memory()
        assert held < len(large)
    finally:
        tracemalloc.stop()
        for writer in waiting:
            writer.transport.abort()
    assert body(await site.get_as("ada", "/rendered/nhp-navigation/tuning")) == large


async def test_a_checksum_opens_nothing_of_another_project(
    site: Site, stored: SmallStore, renderer: Counting
) -> None:
    (secret,) = read(await site.get_as("grace", "/api/notebooks"))["notebooks"]
    assert body(await site.get_as("grace", "/rendered/human-intracranial/secret")) == "<p>page 1"
    # A forged record: it has the checksum, and not the notebook.
    forged = NotebookRecord(
        project="nhp-navigation", name="forged", number=1, created=CREATED, created_by="ada",
        size=secret["bytes"], sha256=secret["sha256"],
    )  # fmt: skip
    store = stored.of("nhp-navigation")
    store.put(make_notebook_key("forged", 1, "json"), forged.encode())
    store.put(make_notebook_key("forged", 1, "ipynb"), b"x" * secret["bytes"])
    answer = await site.get_as("ada", "/rendered/nhp-navigation/forged")
    assert answer.code == 404
    assert "somebody has replaced it" in body(answer)
    assert len(renderer.seen) == 1


async def test_what_cannot_be_shown_says_so_in_its_frame(
    service: SmallService, stored: SmallStore
) -> None:
    async def refuse(notebook: bytes) -> str:
        raise UnrenderableNotebookError("the notebook takes too long; <b>open a copy</b>")

    viewing = project_reader(service, open_store=stored.open)
    notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users, refuse)
    async with small_site(service, notebooks=notebooks) as (url, secret):
        answer = await Site(url, secret).get_as("ada", "/rendered/nhp-navigation/tuning")
    await viewing.close()
    assert answer.code == 422
    assert "&lt;b&gt;open a copy" in body(answer)
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


async def test_pictures_are_pictures(site: Site, stored: SmallStore) -> None:
    answer = await site.get_as("ada", "/previews/nhp-navigation/tuning?version=1")
    assert answer.code == 200
    assert answer.body.startswith(b"\x89PNG")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    # One that is kept is not shown to who may not see it.
    assert (await site.get_as("zoe", "/previews/nhp-navigation/tuning?version=1")).code == 403
    none = await site.get_as("ada", "/previews/nhp-navigation/a/open")
    assert none.code == 404
    stored.of("nhp-navigation").put(make_notebook_key("tuning", 2, "png"), b"<svg onload=alert(1)>")
    assert (await site.get_as("ada", "/previews/nhp-navigation/tuning?version=2")).code == 404


async def test_pages_are_kept_up_to_a_size() -> None:
    pages, made = RenderedPageCache(10), []

    async def get(key: str, size: int) -> None:
        async def make() -> bytes:
            made.append(key)
            return b"x" * size

        assert await pages.get(key, make) == b"x" * size

    await get("a", 5)
    await get("b", 5)
    await get("a", 5)
    assert made == ["a", "b"]
    await get("c", 1)  # the one that nobody has asked for longest goes
    await get("a", 5)
    await get("b", 5)
    assert made == ["a", "b", "c", "b"]
    await get("d", 11)  # too large to keep
    await get("d", 11)
    assert made == ["a", "b", "c", "b", "d", "d"]


async def test_a_page_is_made_once_for_all_who_wait() -> None:
    pages, free, made = RenderedPageCache(10), asyncio.Event(), []

    async def make() -> bytes:
        made.append(1)
        await free.wait()
        return b"page"

    waiting = [asyncio.create_task(pages.get("a", make)) for _ in range(3)]
    await asyncio.sleep(0)
    free.set()
    assert await asyncio.gather(*waiting) == [b"page"] * 3
    assert made == [1]


async def test_what_cannot_be_shown_is_tried_anew_after_a_while() -> None:
    now = [0.0]
    pages, tried = RenderedPageCache(10, lambda: now[0]), []

    async def make() -> bytes:
        tried.append(now[0])
        if now[0] < 600:
            raise UnrenderableNotebookError("it takes too long")
        return b"page"

    for now[0] in (0.0, 1.0, 599.0):
        with pytest.raises(UnrenderableNotebookError, match="it takes too long"):
            await pages.get("a", make)
    assert tried == [0.0]
    with pytest.raises(UnrenderableNotebookError):  # each notebook by itself
        await pages.get("b", make)
    now[0] = 600.0
    assert await pages.get("a", make) == b"page"
    assert tried == [0.0, 599.0, 600.0]


async def test_notebooks_that_wait_are_not_read_yet(
    service: SmallService, stored: SmallStore
) -> None:
    free, under_way = asyncio.Event(), 0

    async def render(_: bytes) -> str:
        nonlocal under_way
        under_way += 1
        await free.wait()
        return ""

    for number in range(9):
        stored.share("nhp-navigation", f"n{number}", notebook_of(f"print({number})"))
    viewing = project_reader(service, open_store=stored.open)
    notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users, render)
    ada = PageViewer("ada", *(await service.parts.accesses.decide_accesses("ada")))
    pages = [
        asyncio.create_task(notebooks.render_page(ada, "nhp-navigation", f"n{number}", None))
        for number in range(9)
    ]
    # One person has not all turns: of nine the last is refused.
    done, _ = await asyncio.wait(pages, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert [type(one.exception()) for one in done] == [ServiceUnavailableError]
    assert under_way <= 3
    free.set()
    await asyncio.gather(*pages, return_exceptions=True)
    assert under_way == 8
    assert await notebooks.render_page(ada, "nhp-navigation", "n0", None) == b""
    await viewing.close()


async def test_a_search_holds_nobody_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def has(_: object, words: str) -> bool:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return words == "x"

    monkeypatch.setattr(NotebookCard, "matches_words", has)
    monkeypatch.setattr(DatasetRow, "matches_words", has)
    assert read(await site.get_as("ada", "/api/notebooks?q=x"))["count"] == 2
    assert (await site.get_as("ada", "/api/datasets?q=x")).code == 200


@given(st.text(max_size=8))
def test_a_version_is_a_number_or_nothing(text: str) -> None:
    try:
        number = parse_version_number(text)
    except ItemNotFoundError:
        assert not (text.isascii() and text.isdigit() and int(text) <= 9999 and len(text) <= 6)
    else:
        assert (text == "" and number is None) or int(text) == number


def published(**about: Any) -> NotebookRecord:
    said = {"project": "nhp-navigation", "name": "tuning", "number": 2, "created": CREATED}
    return NotebookRecord(**(said | {"created_by": "ada", "size": 5, "sha256": "0" * 64} | about))


def of_every_text(text: str) -> NotebookRecord:
    """A notebook whose every field has the same text in it."""
    names = ("title", "description", "created_by", "note")
    ran = environment(image=text, language=text, language_version=text, packages=(text,))
    return published(**dict.fromkeys(names, text), environment=ran)


def pages_of(example: Collaboration, text: str) -> list[str]:
    one, who = (
        of_every_text(text),
        viewer(example, datetime(2026, 11, 22, tzinfo=UTC), "navigation-lab"),
    )
    reach = RecipientCheck(
        ProjectRecipients(("ada",), (InaccessibleProject("nix", because(text), (text,)),))
    )
    shown = NotebookView(one, (one,), (DatasetUse("nix/x", because(text)),), reach, (text,))
    return [
        render_notebooks(SearchResult(who, text, "", (NotebookCard(one, 1),), 1, (text,)), AROUND),
        render_notebook(shown, who, AROUND, f"https://{text}"),
    ]


@given(LINES)
def test_whatever_people_wrote_stays_text(example: Collaboration, text: str) -> None:
    for page, before in zip(pages_of(example, text), pages_of(example, "x"), strict=True):
        assert set(parsed(page).tags) <= set(parsed(before).tags)
        assert set(parsed(page).attributes) <= set(parsed(before).attributes)


def test_nothing_hostile_comes_alive(example: Collaboration) -> None:
    for page in pages_of(example, HOSTILE):
        found = parsed(page)
        assert "script" not in found.tags
        assert "onerror" not in found.attributes
        assert HOSTILE in found.text


def test_the_gallery_as_a_whole(
    example: Collaboration, now: datetime, golden: Callable[[str, str], None]
) -> None:
    who = viewer(example, now, "navigation-lab")
    cards = (
        NotebookCard(
            published(title="Tuning <b>", description="Averages.", preview_sha256="0" * 64), 2
        ),
        NotebookCard(published(name="a/b"), 1),
    )
    page = render_notebooks(SearchResult(who, "", "nhp-navigation", cards, 7, ("a note",)), AROUND)
    golden("notebooks-page.html", page)


def test_the_page_of_a_notebook_as_a_whole(
    example: Collaboration, now: datetime, golden: Callable[[str, str], None]
) -> None:
    who = viewer(example, now, "navigation-lab")
    one = published(title="Tuning", description="Averages.", environment=environment())
    reach = RecipientCheck(
        ProjectRecipients(
            ("ada", "tomas"), (InaccessibleProject("nhp-x", because("you may not"), ("tomas",)),)
        ),
        "",
        3,
    )
    uses = (DatasetUse("nhp-navigation/rest", ()), DatasetUse("nhp-x/day", because("you may not")))
    shown = NotebookView(one, (published(number=3, note="new"), one), uses, reach, ("a note",))
    page = render_notebook(shown, who, AROUND, "https://hub.example.org")
    golden("notebook-page.html", page)
