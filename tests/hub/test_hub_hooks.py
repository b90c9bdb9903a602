"""What an admin has configured for their spawner goes on working beside the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hubs import Hub
from people import at, show, start_form, watch

CONFIG = """
from tornado import web

c.Spawner.environment = {
    "LABORATORY": "on the third floor",
    "AWS_ACCESS_KEY_ID": "AKIAOFTHEHUB",
    "AWS_SECRET_ACCESS_KEY": "the-hub-s-own-secret",
    "AWS_SESSION_TOKEN": "the-hub-s-own-token",
    "AWS_PROFILE": "the-hub-s",
    "PANNEURO_PROJECT": "human-intracranial",
    "PANNEURO_TICKET_FILE": "/tmp/another",
}

def auth_state_hook(spawner, auth_state):
    spawner.environment["TEAMS"] = ",".join(auth_state["panneuro"]["teams"])

def apply_user_options(spawner, options):
    colour = options.get("colour", "grey")
    if colour not in ("grey", "green"):
        raise web.HTTPError(400, "there is no such colour")
    spawner.environment["COLOUR"] = colour

async def pre_spawn_hook(spawner):
    spawner.environment["SESSION"] = spawner.session.project

def announcement(user):
    return f"<b>For {user.name if user else 'everybody'}</b>: maintenance"

c.JupyterHub.template_vars = {"announcement": announcement}
c.Spawner.auth_state_hook = auth_state_hook
c.Spawner.apply_user_options = apply_user_options
c.Spawner.pre_spawn_hook = pre_spawn_hook
c.Spawner.options_form = '''
    <input name="project" type="text">
    <input name="colour" type="radio" value="grey" checked>
    <input name="colour" type="radio" value="green">
'''
"""


@pytest.fixture(scope="module")
def own(make_hub: Callable[..., Hub]) -> Iterator[Hub]:
    with make_hub(CONFIG) as hub:
        yield hub


async def test_hooks_environment_and_form_are_the_admin_s(own: Hub) -> None:
    async with at(own, "ada") as ada:
        form = start_form(await ada.visitor.open_spawn_page())
        assert set(form.fields) >= {"project", "colour"}
        await ada.visitor.start({"project": "nhp-navigation", "colour": "green"})
        session = await ada.running()
        environment = session.environment()
        assert (await show(own, session.ticket)).status == 200
        known = await watch(own, "/users/ada")
    assert environment["LABORATORY"] == "on the third floor"
    assert environment["TEAMS"] == "navigation-lab"
    assert environment["COLOUR"] == "green"
    assert environment["SESSION"] == "nhp-navigation"
    assert known["servers"][""]["user_options"] == {
        "project": "nhp-navigation",
        "profile": "small",
        "image": "neuro",
        "colour": "green",
    }


async def test_a_form_of_the_admins_own_is_reported(own: Hub) -> None:
    assert "c.Spawner.options_form takes the place of our start form" in own.log


async def test_announcements_are_on_every_page(own: Hub) -> None:
    words = "<b>For ada</b>: maintenance"
    async with at(own, "ada") as ada:
        pages = ("/hub/home", "/hub/spawn", "/hub/token", "/hub/no-such-page")
        services = ("", "usage", "datasets", "notebooks", "login", "datasets/no-such/thing")
        for path in (*pages, *(f"/services/panneuro/{name}" for name in services)):
            page = await ada.visitor.open(path)
            assert words in page.body, path
        for name, status in (("ada", 200), ("grace", 404)):
            assert (await ada.api("GET", f"/users/{name}/announcement")).status == status


async def test_keys_of_the_hub_s_own_do_not_come_with_it(own: Hub) -> None:
    async with at(own, "ada") as ada:
        session = await ada.start({"project": "nhp-navigation"})
        environment = session.environment()
    assert not {name for name in environment if name.startswith("AWS_")} & {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
    }
    assert not any("the-hub-s-own" in value for value in environment.values())
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert environment["AWS_ENDPOINT_URL"] == own.ground.store.endpoint_url
    assert environment["PANNEURO_PROJECT"] == "nhp-navigation"
    assert environment["PANNEURO_TICKET_FILE"] == str(session.folder / "ticket")
    assert "AWS_ACCESS_KEY_ID is not passed to ada" in own.log
    assert "the-hub-s-own" not in own.log


async def test_a_hook_that_refuses_leaves_the_last_good_choice(own: Hub) -> None:
    async with at(own, own.ground.register("hana", "navigation")) as hana:
        await hana.start({"project": "shared-stimuli", "colour": "green"})
        await hana.stop()
        refused = await hana.request_start({"project": "shared-stimuli", "colour": "loud"})
        assert (refused.status, refused.message) == (400, "there is no such colour")
        denied = await hana.request_start({"project": "human-intracranial", "colour": "grey"})
        assert denied.status == 403
        assert (await hana.start()).environment()["COLOUR"] == "green"
