"""What a request for a start leads to while a server runs, starts or stops."""

from __future__ import annotations

import pytest

from panneuro_hub.hub.start_requests import (
    ServerState,
    StartOutcome,
    decide_start_outcome,
    explain_other_project,
    read_requested_project,
)

STOPPED = ServerState(False, None, None)
RUNNING = ServerState(True, None, "one")
STARTING = ServerState(False, "spawn", "one")
DECIDING = ServerState(False, "spawn", None)
CHECKED = ServerState(False, "check", "one")
STOPPING = ServerState(False, "stop", "one")


@pytest.mark.parametrize(
    ("server", "wanted", "outcome"),
    [
        (STOPPED, "two", StartOutcome.START),
        (RUNNING, "one", StartOutcome.SERVER),
        (RUNNING, "", StartOutcome.SERVER),
        (RUNNING, "two", StartOutcome.ELSEWHERE),
        (STARTING, "one", StartOutcome.PROGRESS),
        (STARTING, "", StartOutcome.PROGRESS),
        (STARTING, "two", StartOutcome.ELSEWHERE),
        (DECIDING, "two", StartOutcome.PROGRESS),
        (CHECKED, "two", StartOutcome.ELSEWHERE),
        (STOPPING, "two", StartOutcome.PROGRESS),
    ],
)
def test_what_a_request_leads_to(server: ServerState, wanted: str, outcome: StartOutcome) -> None:
    assert decide_start_outcome(server, wanted) is outcome


@pytest.mark.parametrize(
    ("query", "form", "project"),
    [
        ({}, {}, ""),
        ({"opt-project": ["two"]}, {}, "two"),
        ({"project": ["two"]}, {}, "two"),
        ({"next": ["/user/ada/lab?panneuro-copy=two/notebook"]}, {}, "two"),
        ({"next": ["/user/ada/lab?panneuro-copy=../two"]}, {}, ""),
        ({"opt-project": ["two"]}, {"project": ["one"]}, "one"),
        ({"opt-project": ["two", "three"]}, {}, ""),
        ({"opt-": ["two"], "opt-project": [""]}, {"project": [""]}, ""),
    ],
)
def test_the_project_of_a_link_or_form(
    query: dict[str, list[str]], form: dict[str, list[str]], project: str
) -> None:
    assert read_requested_project(query, form) == project


def test_the_sentence_names_both_projects_and_the_server() -> None:
    assert explain_other_project(RUNNING, "", "two") == (
        "Your server works in the project one, and you asked for two. A server works in one "
        "project only."
    )
    assert explain_other_project(STARTING, "other", "two").startswith(
        "Your server other is starting in the project one"
    )
