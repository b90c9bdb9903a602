"""A forged choice, by form or by REST, is refused with its reason, and harms nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hubs import FAILURE_LIMIT, Hub
from people import ask, at, watch

CHOICE = {"project": "shared-stimuli", "profile": "small", "image": "neuro"}
HUMAN = "you are not in human-subjects-trained, which human-intracranial requires"
GPU = "profile 'gpu' may not be used in nhp-navigation"
NAVIGATION = {"project": "nhp-navigation"}

DENIED: list[tuple[dict[str, Any], str]] = [
    ({"project": "human-intracranial"}, HUMAN),
    (
        {"project": "no-such-project"},
        "there is no project 'no-such-project'; you have access to nhp-nav",
    ),
    ({"project": "nhp-navigation/../human-intracranial"}, "there is no project"),
    ({"project": "*"}, "there is no project '*'"),
    ({"project": "<script>alert(1)</script>"}, "there is no project"),
    (NAVIGATION | {"profile": "gpu"}, GPU),
    (NAVIGATION | {"profile": "no-such"}, "profile 'no-such' may not be used in nhp-navigation"),
    (NAVIGATION | {"image": "evil/image:1"}, "image 'evil/image:1' may not be used"),
]
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"project": ["nhp-navigation"]}, "project must be one name, as text"),
    ({"project": {"nhp-navigation": 1}}, "project must be one name, as text"),
    ({"project": 7}, "project must be one name, as text"),
    ({"project": True}, "project must be one name, as text"),
    ({"project": None}, "choose a project; yours are nhp-navigation and shared-stimuli"),
    ({"project": ""}, "choose a project; yours are nhp-navigation and shared-stimuli"),
    ({"project": "x" * 100_000}, "project must be one name, as text"),
    (NAVIGATION | {"profile": ["gpu"]}, "profile must be one name, as text"),
    (NAVIGATION | {"image": {"image": "evil"}}, "image must be one name, as text"),
    (
        NAVIGATION | {"image--unlisted-choice": "evil/image:1"},
        "unknown option 'image--unlisted-choice'; a start takes project, profile, image",
    ),
    (NAVIGATION | {"kubespawner_override": {"image": "evil"}}, "unknown option 'kubespawner_"),
    (NAVIGATION | {"x" * 5000: "y"}, "unknown option 'xxx"),
    (NAVIGATION | {"cmd": ["sh"], "env": {"A": "b"}}, "unknown option 'cmd'"),
]
FORMS: list[tuple[int, list[tuple[str, str]], str]] = [
    (403, [("project", "human-intracranial")], HUMAN),
    (403, [("project", "nhp-navigation"), ("profile--nhp-navigation", "gpu")], GPU),
    (403, [("project", "nhp-navigation"), ("profile", "gpu")], GPU),
    (403, [("project", "nhp-navigation"), ("image", "evil/image:1")], "image 'evil/image:1' may"),
    (403, [("project", "<script>alert(1)</script>")], "there is no project '<script>alert(1)"),
    (
        400,
        [("project", "nhp-navigation"), ("project", "human-intracranial")],
        "project must be one name, as text",
    ),
    (400, [("project", "nhp-navigation"), ("profile", "a"), ("profile", "b")], "profile must be"),
    (
        400,
        [("project", "nhp-navigation"), ("kubespawner_override", "{}")],
        "unknown option 'kubespawner_override'",
    ),
    (400, [("project", "x" * 100_000)], "project must be one name, as text"),
    (400, [("profile", "small")], "choose a project"),
]


@pytest.mark.parametrize(
    ("status", "options", "words"),
    [(403, *each) for each in DENIED] + [(400, *each) for each in INVALID],
)
async def test_a_forged_rest_body(
    hub: Hub, status: int, options: dict[str, Any], words: str
) -> None:
    async with at(hub, hub.ground.register("mallory", "navigation")) as mallory:
        answer = await mallory.request_start(options)
        assert (answer.status, words in answer.message) == (status, True), answer
        assert len(answer.message) < 1000
        assert not (await watch(hub, "/users/mallory"))["servers"]


@pytest.mark.parametrize(("status", "fields", "words"), FORMS)
async def test_a_forged_form(
    hub: Hub, status: int, fields: list[tuple[str, str]], words: str
) -> None:
    async with at(hub, hub.ground.register("mallory", "navigation")) as mallory:
        page = await mallory.post_form(fields)
        assert (page.status, words in page.text) == (status, True), page.text
        assert "<script>alert" not in page.body
        assert "Start" in page.text  # the form again, to choose from
        assert not (await watch(hub, "/users/mallory"))["servers"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("opt-project=human-intracranial", 403, HUMAN),
        ("opt-project=nhp-navigation&opt-profile=gpu", 403, GPU),
        ("project=human-intracranial", 403, HUMAN),
        ("opt-project=shared-stimuli&opt-project=human-intracranial", 400, "must be one name"),
        ("opt-kubespawner_override=x&opt-project=shared-stimuli", 400, "unknown option 'kube"),
        ("opt-project=shared-stimuli&opt-image=evil", 403, "image 'evil' may not be used"),
    ],
)
async def test_a_forged_link(hub: Hub, query: str, status: int, words: str) -> None:
    async with at(hub, hub.ground.register("mallory", "navigation")) as mallory:
        page = await mallory.visitor.open(f"/hub/spawn?{query}")
        assert (page.status, words in page.text) == (status, True), page.text
        assert not (await watch(hub, "/users/mallory"))["servers"]


@pytest.mark.parametrize(
    "body",
    [
        [1],
        "nhp-navigation",
        {"user_options": ["nhp-navigation"]},
        {"user_options": "x"},
        {"display_name": 1, "user_options": {"project": "nhp-navigation"}},
    ],
)
async def test_a_body_that_is_no_options_at_all(hub: Hub, body: Any) -> None:
    async with at(hub, hub.ground.register("mallory", "navigation")) as mallory:
        answer = await mallory.request_start(body)
        assert answer.status == 400, answer
        assert not (await watch(hub, "/users/mallory"))["servers"]


async def test_more_forgeries_than_the_limit_of_failures_harm_nobody(hub: Hub) -> None:
    async with at(hub, hub.ground.register("max", "navigation")) as max_:
        await max_.start(CHOICE)
        await max_.stop()
        failures, errors = await spawns(hub, "failure"), await spawns(hub, "error")
        said_before = len(hub.log)
        for _ in range(FAILURE_LIMIT + 1):
            assert (await max_.request_start({"project": "human-intracranial"})).status == 403
            assert (await max_.request_start({"project": ["x"]})).status == 400
            assert (await max_.post_form([("project", "human-intracranial")])).status == 403
        assert await spawns(hub, "failure") == failures + 3 * (FAILURE_LIMIT + 1)
        assert await spawns(hub, "error") == errors
        stopped = await watch(hub, "/users/max?include_stopped_servers")
        assert stopped["servers"][""]["user_options"] == CHOICE
        assert (await max_.start()).project == "shared-stimuli"
    said = hub.log[said_before:]
    assert f"Not starting max: you have no access to human-intracranial: {HUMAN}" in said
    assert "consecutive spawns failed" not in said
    # JupyterHub's own for every form that starts nothing, whatever the reason.
    assert said.count("Traceback") == said.count("Failed to spawn single-user server with form")
    assert "Unhandled error" not in said
    assert "Exception applying user_options" not in said


async def spawns(hub: Hub, status: str) -> int:
    """How many starts the hub's metrics count as `status`."""
    answer = await ask("GET", f"{hub.url}/hub/metrics", authorization=f"token {hub.watcher_token}")
    line = r"^jupyterhub_server_spawn_duration_seconds_count\{(.*)\} ([0-9.]+)$"
    counts = re.findall(line, answer.text, re.MULTILINE)
    return sum(int(float(count)) for labels, count in counts if f'status="{status}"' in labels)


async def test_a_field_of_another_project_s_list_chooses_nothing(hub: Hub) -> None:
    async with at(hub, hub.ground.register("milo", "navigation")) as milo:
        await milo.post_form(
            [
                ("project", "shared-stimuli"),
                ("image--unlisted-choice", "evil/image:1"),
                ("profile--nhp-navigation", "large"),
            ]
        )
        await milo.ready()
        options = (await watch(hub, "/users/milo"))["servers"][""]["user_options"]
    assert options == CHOICE
