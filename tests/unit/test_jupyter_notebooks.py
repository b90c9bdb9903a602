"""Which notebooks are shared, what the browser hears of them, and copies that nobody trusts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from session_views import view_of

from panneuro_hub.catalog.notebook_store import NotebookNotFoundError
from panneuro_hub.client.notebook_sharing import NotebookCopy
from panneuro_hub.client.transfer_errors import LocalFileError
from panneuro_hub.jupyter import notebook_copies
from panneuro_hub.jupyter.notebook_copies import (
    fetch_requested_notebook,
    remove_trust,
    resolve_server_path,
    save_copy,
)
from panneuro_hub.jupyter.panel_errors import BadRequestError, ServerFileNotFoundError
from panneuro_hub.jupyter.response_schemas import find_services_url, make_session_response
from panneuro_hub.lab.current_session import CurrentSession
from panneuro_hub.wire import Denial, Grant, Reason
from panneuro_hub.wording import describe_reasons, documents


def session(**more: Any) -> CurrentSession:
    return CurrentSession(**vars(view_of(**more)))


def test_a_notebook_of_the_server_is_found(tmp_path: Path) -> None:
    assert resolve_server_path("a b/é.ipynb", tmp_path) == tmp_path / "a b" / "é.ipynb"


@pytest.mark.parametrize(
    "path",
    [
        *("../up.ipynb", "a/../../up.ipynb", "/etc/x.ipynb", "~/x.ipynb/../../y.ipynb"),
        *("a.py", "a.ipynb/", "", "a\0.ipynb", "project-nav:dropped/x.ipynb"),
    ],
)
def test_what_is_no_notebook_of_the_server_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError):
        resolve_server_path(path, tmp_path)


def test_a_copy_is_trusted_by_nobody() -> None:
    cell = {"cell_type": "code", "metadata": {"trusted": True, "tags": ["x"]}, "outputs": []}
    notebook = {"metadata": {"signature": "sha256:0", "kernelspec": {}}, "cells": [cell]}
    assert remove_trust(notebook) == {
        "metadata": {"kernelspec": {}},
        "cells": [{"cell_type": "code", "metadata": {"tags": ["x"]}, "outputs": []}],
    }


def test_a_copy_takes_a_free_name_and_follows_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "home", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    # Jupyter's own way to save wrote through both, and through its own temporary file's name.
    (root / "tuning.ipynb").symlink_to(outside / "profile")
    (outside / "there").write_text("mine")
    (root / "tuning-copy-2.ipynb").symlink_to(outside / "there")
    (root / ".~tuning-copy-3.ipynb").symlink_to(outside / "there")
    notebook = {"cells": [], "metadata": {"title": "é"}, "nbformat": 4, "nbformat_minor": 5}
    assert save_copy(notebook, "tuning", root) == "tuning-copy-3.ipynb"
    assert json.loads((root / "tuning-copy-3.ipynb").read_text()) == notebook
    assert save_copy(notebook, "tuning", root) == "tuning-copy-4.ipynb"
    assert [path.name for path in outside.iterdir()] == ["there"]
    assert (outside / "there").read_text() == "mine"
    with pytest.raises(LocalFileError, match="half of a character"):
        save_copy({"cells": ["\ud800"]}, "tuning", root)
    with pytest.raises(LocalFileError, match="no such file or directory"):
        save_copy(notebook, "tuning", root / "gone")


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", '{"metadata": 1, "cells": []}', "{", "[" * 5000]
)
def test_what_was_shared_and_is_no_notebook_is_refused(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(name: str, target: Path) -> NotebookCopy:
        target.write_text(content)
        return NotebookCopy(None, target)  # type: ignore[arg-type]

    monkeypatch.setattr(notebook_copies, "copy_notebook", copy)
    monkeypatch.setattr(notebook_copies.current_session, "session", session)
    with pytest.raises(LocalFileError, match="no notebook"):
        fetch_requested_notebook(json.dumps({"notebook": "nav/x@1"}).encode())


def test_one_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(name: str, target: Path) -> NotebookCopy:
        raise NotebookNotFoundError("there is no notebook nav/x")

    monkeypatch.setattr(notebook_copies, "copy_notebook", copy)
    monkeypatch.setattr(notebook_copies.current_session, "session", session)
    with pytest.raises(ServerFileNotFoundError, match="there is no notebook nav/x"):
        fetch_requested_notebook(b'{"notebook": "nav/x"}')
    for body in (b"{}", b'{"notebook": ""}', b'{"notebook": 3}'):
        with pytest.raises(BadRequestError):
            fetch_requested_notebook(body)


def test_who_cannot_write_hears_why() -> None:
    reasons = (Reason("not-in-team", "nav", teams=("navigation-lab",), level="write"),)
    denied = (Denial("write", "prefix", "s3://lab/nav/", "nav", reasons),)
    answer = make_session_response(session(denied=denied), "/services/", {})
    assert (answer["may_write"], answer["why_not"]) == (False, describe_reasons(reasons))
    assert answer["why_not_reasons"] == documents(reasons)
    assert answer["readable"] == ["nav"]


def test_who_can_write_hears_what_is_frozen() -> None:
    grants = (
        Grant("s3://lab/nav/", "write", (Reason("team-has-level", "nav"),), "nav"),
        Grant("s3://lab/nav/release/", "read", (Reason("frozen", "nav"),), "nav"),
    )
    answer = make_session_response(session(level="write", grants=grants), "/services/", {})
    assert (answer["may_write"], answer["why_not"]) == (True, None)
    [frozen] = answer["frozen"]
    assert frozen["place"] == "release/"
    assert [reason["code"] for reason in frozen["reasons"]] == ["frozen"]


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "/services/panneuro/"),
        ({"JUPYTERHUB_BASE_URL": "/lab/"}, "/lab/services/panneuro/"),
        (
            {"JUPYTERHUB_HOST": "https://hub.example.org", "JUPYTERHUB_BASE_URL": "/"},
            "https://hub.example.org/services/panneuro/",
        ),
    ],
)
def test_the_pages_are_at_the_hub(environment: dict[str, str], address: str) -> None:
    assert find_services_url(environment) == address
