"""From a notebook's page to a server that opens a copy: nothing is started by a link alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_safe_slug
from small_browser import CREATED, SmallStore, environment
from small_hub import SmallHub
from small_service import small_service
from small_site import Site, body, hub_of, small_site

from panneuro_hub.catalog.notebook_records import NotebookRecord
from panneuro_hub.hub.start_choice import read_copy_choice
from panneuro_hub.names import NAME
from panneuro_hub.service.browse.copy_targets import CopyTargets, find_copy_targets
from panneuro_hub.service.browse.notebook_views import NotebookBrowser
from panneuro_hub.service.browse.project_browser import ProjectBrowser
from panneuro_hub.service.browse.project_reader import ProjectReader
from panneuro_hub.wire.copy_links import build_copy_query, read_copy_query
from panneuro_hub.wire.hub_member import HubMember, RunningSession

PROJECT = "nhp-navigation"
TUNING = NotebookRecord(
    project=PROJECT, name="tuning", number=3, created=CREATED, created_by="ada", size=1,
    sha256="0" * 64, environment=environment(image="neuro"),
)  # fmt: skip


def member(*sessions: RunningSession, more: bool = False, name: str = "ada") -> HubMember:
    return HubMember(name, "account", sessions=sessions, may_have_more=more)


def server(project: str, name: str = "", image: str | None = "neuro") -> RunningSession:
    return RunningSession("s", project, name, "digest", image)


def ways(*sessions: RunningSession, more: bool = False) -> CopyTargets:
    return find_copy_targets(member(*sessions, more=more), TUNING, "/base/hub/")


def test_a_server_in_the_project_with_the_image_opens_it_at_once() -> None:
    lab = "/lab?panneuro-copy=nhp-navigation/tuning%403"
    assert ways(server(PROJECT)).direct_url == f"/base/user/ada{lab}"
    assert ways(server("other"), server(PROJECT, "two")).direct_url == f"/base/user/ada/two{lab}"
    assert ways(server(PROJECT, image=None)).direct_url == f"/base/user/ada{lab}"


def test_without_a_server_it_is_the_form_which_starts_nothing_by_itself() -> None:
    found = ways()
    assert found.direct_url == found.start
    assert found.start is not None
    address = urlsplit(found.start)
    assert address.path == "/base/hub/spawn/ada"
    # Any field but this would start a server as the page is opened.
    assert list(parse_qs(address.query)) == ["next"]
    (on,) = parse_qs(address.query)["next"]
    assert on == "/base/user/ada/lab?panneuro-copy=nhp-navigation/tuning%403&panneuro-image=neuro"
    assert read_copy_choice(on) == {
        "project": PROJECT,
        "copy": "nhp-navigation/tuning@3",
        "image": "neuro",
    }


def test_another_image_is_for_the_person_to_say() -> None:
    found = ways(server(PROJECT, image="old"))
    assert found.direct_url is None
    assert [one.url for one in found.project_servers] == [
        "/base/user/ada/lab?panneuro-copy=nhp-navigation/tuning%403"
    ]
    assert not found.has_image(found.project_servers[0])
    assert found.start is None  # one at a time


def test_a_default_server_elsewhere_is_in_the_way_unless_there_may_be_more() -> None:
    found = ways(server("other"))
    assert (found.direct_url, found.start, found.project_servers) == (None, None, ())
    assert found.default is not None
    found = ways(server("other"), more=True)
    assert found.direct_url is None
    assert urlsplit(str(found.start)).path == "/base/hub/spawn/ada/nhp-navigation"
    found = ways(server("other"), server("third", PROJECT), more=True)
    assert urlsplit(str(found.start)).path == "/base/hub/spawn/ada/nhp-navigation-2"
    # A named server elsewhere is not in the way of the default one.
    assert urlsplit(str(ways(server("other", "x"), more=True).direct_url)).path.endswith("/ada")


@given(st.from_regex(NAME, fullmatch=True), st.booleans())
def test_a_new_server_has_a_name_that_the_hub_takes(project: str, taken: bool) -> None:
    one = NotebookRecord(
        project=project, name="x", number=1, created=CREATED, created_by="a", size=1,
        sha256="0" * 64,
    )  # fmt: skip
    first = urlsplit(
        str(find_copy_targets(member(server("o"), more=True), one, "/hub/").start)
    ).path
    name = first.rpartition("/")[2]
    assert is_valid_safe_slug(name)
    others = (server("o"), server("p", name)) if taken else (server("o"),)
    again = urlsplit(str(find_copy_targets(member(*others, more=True), one, "/hub/").start)).path
    assert (again == first) is not taken
    assert is_valid_safe_slug(again.rpartition("/")[2])


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_a_persons_name_stays_in_its_part_of_an_address(name: str) -> None:
    found = find_copy_targets(member(server(PROJECT), name=name), TUNING, "/hub/").direct_url
    assert found is not None
    assert urlsplit(found).path.count("/") == 3
    assert urlsplit(found).query == "panneuro-copy=nhp-navigation/tuning%403"


@given(st.text(max_size=50), st.text(max_size=20))
def test_what_is_written_of_a_copy_is_read_again(label: str, image: str) -> None:
    try:
        address = f"/user/ada/lab?{build_copy_query(label, image)}"
    except UnicodeEncodeError:
        return  # half a letter
    said = {"panneuro-copy": label} if label else {}
    assert read_copy_query(address) == (
        said | {"panneuro-image": image} if image and label else said
    )


@given(st.text())
def test_a_next_from_anybody_ticks_a_project_at_most(address: str) -> None:
    for text in (address, f"/lab?panneuro-copy={address}", f"http://[{address}"):
        wanted = read_copy_choice(text)
        assert set(wanted) in (set(), {"project", "copy"}, {"project", "copy", "image"})
        if wanted:
            assert NAME.fullmatch(wanted["project"])
            assert wanted["copy"].isascii()


def test_a_link_puts_no_words_of_its_own_into_the_form() -> None:
    words = "neuro. Your password has ended: write it to mallory"
    on = f"/lab?{build_copy_query('nhp-navigation/tuning@3', words)}"
    assert read_copy_choice(on) == {"project": PROJECT, "copy": "nhp-navigation/tuning@3"}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/lab",
        "/lab?panneuro-copy=",
        "/lab?panneuro-copy=nhp-navigation",
        "/lab?panneuro-copy=A/b",
        "/lab?panneuro-copy=a/<b>",
        "/lab?panneuro-copy=a/../b",
        "/lab?panneuro-copy=a/b&panneuro-copy=c/d",
        "/lab?panneuro-copy=a/b" + "&x=1" * 30,
        "/lab?panneuro-copy=a/" + "b" * 3000,
    ],
)
def test_what_is_no_copy_ticks_nothing(address: str) -> None:
    assert read_copy_choice(address) == {}


# --- the page


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with hub_of({"ada": ["navigation-lab"], "zoe": []}) as hub:
        yield hub


@pytest.fixture
async def site(hub: SmallHub, tmp_path: Path, example_file: Path) -> AsyncIterator[Site]:
    stored = SmallStore()
    stored.share(PROJECT, "tuning", title="Tuning <b>", environment=environment())
    async with small_service(hub, tmp_path, example_file) as service:
        viewing = ProjectReader(
            service.parts.vending, service.parts.refusals, open_store=stored.open
        )
        notebooks = NotebookBrowser(ProjectBrowser(viewing), service.parts.hub_users)
        async with small_site(service, notebooks=notebooks) as (url, secret):
            yield Site(url, secret)
        await viewing.close()


def runs(hub: SmallHub, project: str, image: str, *, more: bool = False) -> None:
    """Let ada have a default server."""
    sessions = (RunningSession("s1", project, "", "digest", image),)
    hub.users["ada"] = replace(hub.users["ada"], sessions=sessions, may_have_more=more)


async def test_the_page_leads_on(site: Site, hub: SmallHub) -> None:
    answer = await site.get_as("ada", "/copies/nhp-navigation/tuning")
    assert answer.code == 302
    assert answer.headers["Location"].startswith("/base/hub/spawn/ada?next=%2Fbase%2Fuser%2Fada")
    runs(hub, PROJECT, "neuro")
    answer = await site.get_as("ada", "/copies/nhp-navigation/tuning?version=1")
    assert answer.headers["Location"] == (
        "/base/user/ada/lab?panneuro-copy=nhp-navigation/tuning%401"
    )


async def test_the_page_says_what_there_is_to_choose(site: Site, hub: SmallHub) -> None:
    runs(hub, PROJECT, "old")
    text = body(await site.get_as("ada", "/copies/nhp-navigation/tuning"))
    assert "Tuning &lt;b&gt;" in text
    assert "with the image old. That is not the image in which the notebook ran" in text
    assert "Open it there" in text
    assert "one server at a time" in text
    runs(hub, "shared-stimuli", "neuro")
    text = body(await site.get_as("ada", "/copies/nhp-navigation/tuning"))
    assert "Your default server works in shared-stimuli" in text
    assert "one server at a time" in text
    assert 'href="/base/hub/home"' in text
    assert "spawn" not in text
    runs(hub, "shared-stimuli", "neuro", more=True)
    text = body(await site.get_as("ada", "/copies/nhp-navigation/tuning"))
    assert 'href="/base/hub/spawn/ada/nhp-navigation?next=' in text
    assert "one server at a time" not in text


async def test_who_cannot_read_it_is_led_nowhere(site: Site) -> None:
    answer = await site.get_as("zoe", "/copies/nhp-navigation/tuning")
    assert (answer.code, "Location" in answer.headers) == (403, False)
