"""A server starts by form and by REST, and the start says what was decided."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hubs import Hub
from people import at, start_form, watch

from panneuro_hub.access import Person, decide_access
from panneuro_hub.current import load_collaboration
from panneuro_hub.wording import describe_reasons, describe_target


async def test_the_form_offers_exactly_what_is_the_person_s(hub: Hub) -> None:
    async with at(hub, "ada") as ada:
        page = await ada.visitor.open_spawn_page()
    form = start_form(page)
    assert form.fields["project"].offered == ["nhp-navigation", "shared-stimuli"]
    assert form.fields["profile--nhp-navigation"].offered == ["small", "large"]
    assert form.fields["profile--shared-stimuli"].offered == ["small", "large"]
    assert not any("human-intracranial" in name for name in form.fields)
    assert "manage Navigation in virtual reality nhp-navigation" in page.text
    assert "read Stimuli and task code shared-stimuli" in page.text
    assert "Small Look around. 2 cores, 8G memory, $0.12 an hour" in page.text
    assert "Large Spike sorting and models in memory. 16 cores, 64G memory" in page.text
    assert (
        "Human ECoG and single units (human-intracranial): you are not in "
        "human-subjects-trained, which human-intracranial requires" in page.text
    )


async def test_each_project_has_a_home_of_its_own(hub: Hub) -> None:
    async with at(hub, hub.ground.register("hope", "navigation")) as hope:
        page = await hope.visitor.open_spawn_page()
        first = (await hope.start({"project": "nhp-navigation"})).environment()["HOME"]
        leave_startup_file(first)
        await hope.stop()
        second = (await hope.start({"project": "shared-stimuli"})).environment()["HOME"]
    assert "Each project has a home folder of its own." in page.text
    assert first.endswith("/hope/projects/nhp-navigation")
    assert second.endswith("/hope/projects/shared-stimuli")
    require_apart(Path(first), Path(second))


def leave_startup_file(home: str) -> None:
    Path(home, ".bashrc").write_text("export CARRIED=1\n")


def require_apart(first: Path, second: Path) -> None:
    """Check that two homes have nothing in common but the shared folder, which can be read."""
    assert {one.name for one in first.iterdir()} > {".bashrc", "shared"}
    assert ".bashrc" not in {one.name for one in second.iterdir()}
    assert (first / "shared").resolve() == (second / "shared").resolve()
    assert (second / "shared").stat().st_mode & 0o777 == 0o555


async def test_profiles_are_the_project_s_and_the_team_s(hub: Hub) -> None:
    async with at(hub, "mina") as mina:
        form = start_form(await mina.visitor.open_spawn_page())
    assert form.fields["profile--nhp-navigation"].offered == ["small", "large", "gpu"]
    assert form.fields["profile--human-intracranial"].offered == ["small", "large"]


async def test_who_may_start_nothing_is_told_why(hub: Hub) -> None:
    async with at(hub, hub.ground.register("finn", "human")) as finn:
        projects = await finn.access()
        answer = await finn.request_start({"project": "human-intracranial"})
    assert projects["human-intracranial"]["level"] is None
    assert answer.status == 403
    assert "you are not in human-subjects-trained, which human-intracranial" in answer.message


async def test_a_start_by_form_says_what_was_decided_and_is_remembered(hub: Hub) -> None:
    async with at(hub, hub.ground.register("fay", "navigation")) as fay:
        said = await fay.visitor.start(
            {"project": "nhp-navigation", "profile--nhp-navigation": "large"}
        )
        session = await fay.running()
        await fay.stop()
        form = start_form(await fay.visitor.open_spawn_page())
        known = await watch(hub, "/users/fay?include_stopped_servers")
    assert session.project == "nhp-navigation"
    access = decide_access(
        load_collaboration(hub.collaboration),
        Person.of("fay", ["navigation-lab"]),
        "nhp-navigation",
        datetime.now(UTC),
    )
    assert {"s3://learning-circuits/nhp-navigation/", "s3://learning-circuits/shared-stimuli/"} < {
        grant.prefix for grant in access.grants
    }
    assert ("profile", "gpu") in {(denial.kind, denial.name) for denial in access.denied}
    assert said[:-2] == [
        "Server requested",  # JupyterHub's own
        f"Project Navigation in virtual reality (nhp-navigation): manage. "
        f"{describe_reasons(access.reasons)}",
        *[
            f"You may {grant.mode} {grant.prefix}: {describe_reasons(grant.reasons)}"
            for grant in access.grants
        ],
        *[
            f"Not given: {describe_target(denial)}: {describe_reasons(denial.reasons)}"
            for denial in access.denied
        ],
        "Profile Large: 16 cores, 64G memory, $0.96 an hour",
        "Image PanNeuro notebook (panneuro/notebook:2026.11)",
    ]
    assert form.fields["project"].value == "nhp-navigation"
    assert form.fields["profile--nhp-navigation"].value == "large"
    assert known["servers"][""]["user_options"] == {
        "project": "nhp-navigation",
        "profile": "large",
        "image": "neuro",
    }


async def test_a_start_by_rest_and_again_without_a_word(hub: Hub) -> None:
    async with at(hub, hub.ground.register("flo", "navigation")) as flo:
        first = await flo.start({"project": "shared-stimuli", "profile": "large", "image": "neuro"})
        await flo.stop()
        second = await flo.start()
        options = (await watch(hub, "/users/flo"))["servers"][""]["user_options"]
    assert first.project == second.project == "shared-stimuli"
    assert options == {"project": "shared-stimuli", "profile": "large", "image": "neuro"}
    assert first.id != second.id
    assert first.digest != second.digest


async def test_a_first_start_without_a_word_asks_for_a_project(hub: Hub) -> None:
    async with at(hub, hub.ground.register("fred", "navigation")) as fred:
        answer = await fred.request_start()
    assert answer.status == 400
    assert answer.message == "choose a project; yours are nhp-navigation and shared-stimuli"


async def test_a_link_with_the_choice_in_it_starts(hub: Hub) -> None:
    async with at(hub, hub.ground.register("fern", "navigation")) as fern:
        page = await fern.visitor.open("/hub/spawn?opt-project=shared-stimuli&opt-profile=small")
        page.require_ok("follow the link")
        await fern.ready()
        assert (await fern.running()).project == "shared-stimuli"


async def test_an_admin_s_start_is_decided_for_whose_server_it_is(hub: Hub) -> None:
    ira = hub.ground.register("ira", "navigation")
    async with at(hub, ira) as person, at(hub, "pat") as pat:
        refused = await pat.api("POST", "/users/ira/server", {"project": "human-intracranial"})
        assert refused.status == 403
        await pat.api("POST", "/users/ira/server", {"project": "nhp-navigation"})
        await person.ready()
        assert (await person.running()).project == "nhp-navigation"
