"""JupyterLab's extension on a person's server: a real server, session, service and store."""

from __future__ import annotations

import http.client
import http.cookies
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testing.waiting import wait_until
from transfers import FROZEN, PROJECT, Bench, made_bench

import panneuro_hub
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.catalog import Manifest, make_manifest_key
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.wording import describe_reason

ROOT = Path(panneuro_hub.__file__).parents[1]
BASE = "/user/ada/"
TOKEN = "gurke"
OVER = ("done", "failed", "stopped")
NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Tuning <b>curves</b>"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"trusted": True},
            "execution_count": 1,
            "source": f'lab.open("{PROJECT}/browser")',
            "outputs": [
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"text/html": "<script>alert(1)</script>"},
                }
            ],
        },
    ],
}


@dataclass(frozen=True)
class Lab:
    """A person's server."""

    port: int
    home: Path
    bench: Bench

    def ask(
        self,
        method: str,
        address: str,
        body: bytes | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status, and the answer's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        known = {"Authorization": f"token {TOKEN}"} if headers is None else headers
        try:
            path = f"{BASE}panneuro/api/{address}".replace("panneuro/api/../../", "")
            connection.request(method, path, sent, known)
            with connection.getresponse() as response:
                text = response.read()
        finally:
            connection.close()
        return response.status, json.loads(text) if text else None

    def begin(self, name: str, files: dict[str, bytes], **more: Any) -> tuple[int, Any]:
        listed = [{"path": path, "size": len(data), "changed": 1} for path, data in files.items()]
        return self.ask("POST", "uploads", {"dataset": name, "files": listed, **more})

    def upload(self, name: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
        """Begin, send, start, and wait for the end."""
        status, begun = self.begin(name, files, **more)
        assert status == 201, begun
        for index, data in enumerate(files.values()):
            if data:
                assert self.piece(begun["id"], index, 0, data)[0] == 200
        status, told = self.ask(
            "POST", f"uploads/{begun['id']}", {"update": bool(more.get("update"))}
        )
        assert status == 202, told
        return self.end_of(begun["id"])

    def piece(self, identifier: str, index: int, offset: int, data: bytes) -> tuple[int, Any]:
        return self.ask("PUT", f"uploads/{identifier}/files/{index}?offset={offset}", data)

    def end_of(self, identifier: str) -> dict[str, Any]:
        def state() -> dict[str, Any]:
            told: dict[str, Any] = self.ask("GET", f"uploads/{identifier}")[1]
            return told if told["state"] in OVER else {}

        return wait_until(state, "the end of the upload")


@pytest.fixture(scope="module")
def lab(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("jupyter")
    home = folder / "home"
    home.mkdir()
    port = find_free_port()
    with made_bench(seaweedfs, folder) as bench, ProcessGroup() as processes:
        bench.empty()
        outside = bench.environment
        ticket = Path(outside["PANNEURO_TICKET_FILE"])
        agent = CredentialAgent(AgentSettings(outside["PANNEURO_SERVICE_URL"], ticket))
        agent.start()
        try:
            server = processes.start(
                "lab",
                [
                    *(sys.executable, "-m", "jupyter_server", f"--port={port}", "--no-browser"),
                    *(f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}"),
                    '--ServerApp.jpserver_extensions={"panneuro_hub.jupyter": True}',
                    *(["--allow-root"] if os.geteuid() == 0 else []),
                ],
                log=folder / "lab.log",
                environment={
                    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
                    "HOME": str(home),
                    "PYTHONPATH": str(ROOT),
                    "JUPYTERHUB_BASE_URL": "/",
                    "PANNEURO_PROJECT": PROJECT,
                    **agent.environment(),
                },
                folder=home,
            )
            server.wait_until_ready(url_answers(f"http://127.0.0.1:{port}{BASE}api"), 60)
            yield Lab(port, home, bench)
        finally:
            agent.stop()


@pytest.mark.parametrize(
    ("method", "address"),
    [
        *(("GET", "session"), ("GET", "datasets"), ("POST", "shares"), ("POST", "copies")),
        *(("GET", "uploads"), ("POST", "uploads"), ("GET", f"uploads/{'0' * 32}")),
        *(("POST", f"uploads/{'0' * 32}"), ("DELETE", f"uploads/{'0' * 32}")),
        ("PUT", f"uploads/{'0' * 32}/files/0?offset=0"),
    ],
)
def test_who_is_not_logged_in_gets_nothing(lab: Lab, method: str, address: str) -> None:
    status, answer = lab.ask(method, address, b"{}" if method in ("POST", "PUT") else None, {})
    assert status == 403
    assert "project" not in answer


def logged_in(lab: Lab) -> tuple[dict[str, str], str]:
    """A browser's cookies after a login, and its token against forged requests."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=60)
    try:
        connection.request("GET", f"{BASE}tree?token={TOKEN}")
        with connection.getresponse() as response:
            response.read()
            given = response.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()
    jar = http.cookies.SimpleCookie()
    for line in given:
        jar.load(line)
    cookies = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in jar.items())
    return {"Cookie": cookies}, jar["_xsrf"].value


def test_another_site_can_do_nothing_with_a_person_s_cookies(lab: Lab) -> None:
    cookies, xsrf = logged_in(lab)
    asked = b'{"notebook": "upload-tests/none"}'
    status, _ = lab.ask("POST", "copies", asked, {**cookies, "X-XSRFToken": xsrf})
    assert status == 404  # it was let, and there is no such notebook
    assert lab.ask("POST", "copies", asked, cookies)[0] == 403
    foreign = {**cookies, "X-XSRFToken": xsrf, "Origin": "https://evil.example"}
    status, answer = lab.ask("POST", "copies", asked, foreign)
    assert (status, PROJECT in str(answer)) == (404, False)


def test_the_panel_hears_where_it_is(lab: Lab) -> None:
    status, session = lab.ask("GET", "session")
    assert status == 200
    assert (session["project"], session["level"], session["may_write"]) == (PROJECT, "write", True)
    assert session["readable"] == ["stimuli", PROJECT]
    assert [one["place"] for one in session["frozen"]] == ["release/"]
    assert session["pages"] == "/services/panneuro/"


def test_dropped_files_become_a_dataset(lab: Lab) -> None:
    files = {"a b/é ☃.csv": b"a,b\n1,2\n", "empty": b"", "../x"[3:]: b"x" * 100}
    told = lab.upload(f"{PROJECT}/browser", files, title="From a browser", license="CC0-1.0")
    assert (told["state"], told["problem"]) == ("done", None), told
    assert "3 of 3 files sent" in told["said"]
    manifest = Manifest.decode(lab.bench.read(make_manifest_key("browser")))
    assert (manifest.title, manifest.license) == ("From a browser", "CC0-1.0")
    assert {file.path: file.size for file in manifest.files} == {
        path: len(data) for path, data in files.items()
    }
    assert lab.bench.read("browser/a b/é ☃.csv") == files["a b/é ☃.csv"]
    status, listed = lab.ask("GET", "datasets")
    assert status == 200
    (one,) = [one for one in listed["datasets"] if one["name"] == f"{PROJECT}/browser"]
    assert (one["title"], one["who"], one["complete"]) == ("From a browser", "ada", True)


def test_what_is_there_is_changed_only_where_that_is_wished(lab: Lab) -> None:
    name = f"{PROJECT}/again"
    assert lab.upload(name, {"a": b"one"})["state"] == "done"
    status, refusal = lab.begin(name, {"a": b"two"})
    assert (status, "is there already" in refusal["message"]) == (409, True)
    assert refusal["error"] == "file-conflict"
    assert lab.upload(name, {"a": b"three"}, update=True)["state"] == "done"
    assert lab.bench.read("again/a") == b"three"


def test_a_conflict_in_the_store_can_be_decided_afterwards(lab: Lab) -> None:
    lab.bench.admin.put_object(Bucket="lab", Key=f"{PROJECT}/taken/a", Body=b"another")
    told = lab.upload(f"{PROJECT}/taken", {"a": b"mine"})
    assert told["state"] == "failed"
    assert "something else is there under this name" in told["problem"]
    assert lab.ask("POST", f"uploads/{told['id']}", {"update": True})[0] == 202
    assert lab.end_of(told["id"])["state"] == "done"
    assert lab.bench.read("taken/a") == b"mine"


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        ("stimuli/mine", 403, f"this server works in {PROJECT}, and writes there only"),
        (f"{PROJECT}/release/mine", 403, describe_reason(FROZEN)),
        ("human/mine", 403, f"this server works in {PROJECT}"),
        (PROJECT, 400, "names no dataset"),
        (f"{PROJECT}/..", 400, "in the dataset's name"),
    ],
)
def test_what_may_not_be_written_is_refused_before_anything_is_sent(
    lab: Lab, name: str, status: int, why: str
) -> None:
    got, refusal = lab.begin(name, {"a": b"x"})
    assert got == status
    assert why in refusal["message"]


def test_a_path_that_leads_away_is_refused(lab: Lab) -> None:
    before = {one["id"] for one in lab.ask("GET", "uploads")[1]["uploads"]}
    for path in ("../up", "/etc/passwd", "a/../../b", "\ud800"):
        status, refusal = lab.begin(f"{PROJECT}/evil", {path: b"x"})
        assert (status, refusal["message"].count("\n")) == (400, 0)
    assert {one["id"] for one in lab.ask("GET", "uploads")[1]["uploads"]} == before


def test_a_broken_line_is_gone_on_with_where_it_broke(lab: Lab) -> None:
    files = {"a": b"0123456789"}
    begun = lab.begin(f"{PROJECT}/broken", files)[1]
    assert lab.piece(begun["id"], 0, 0, b"0123") == (200, {"received": 4})
    status, refusal = lab.piece(begun["id"], 0, 0, b"0123")
    assert (status, refusal["received"]) == (409, 4)
    again = lab.begin(f"{PROJECT}/broken", files)[1]
    assert (again["id"], again["files"]) == (begun["id"], [4])
    assert lab.ask("POST", f"uploads/{begun['id']}", {})[0] == 409
    assert lab.piece(begun["id"], 0, 4, b"456789") == (200, {"received": 10})
    lab.ask("POST", f"uploads/{begun['id']}", {})
    assert lab.end_of(begun["id"])["state"] == "done"
    assert lab.bench.read("broken/a") == b"0123456789"


def test_the_panel_knows_what_is_left_out(lab: Lab) -> None:
    told = lab.ask("GET", "session")[1]["left_out"]
    assert ".git" in next(one["patterns"] for one in told if one["kind"] == "version control")


def test_files_of_tools_are_left_out_unless_they_are_wanted(lab: Lab) -> None:
    files = {"a.csv": b"1\n", ".git/HEAD": b"ref: main\n", "sub/.DS_Store": b"x"}
    told = lab.upload(f"{PROJECT}/tools", files)
    assert told["state"] == "done", told
    assert any("1 of macOS (sub/.DS_Store)" in note for note in told["notes"])
    assert lab.bench.objects("tools").keys() == {"a.csv", ".panneuro/manifest.json"}
    told = lab.upload(f"{PROJECT}/all-tools", files, include_all=True)
    assert told["state"] == "done", told
    assert lab.bench.objects("all-tools").keys() == {*files, ".panneuro/manifest.json"}


def test_what_looks_like_a_secret_waits_until_it_is_allowed(lab: Lab) -> None:
    name, secret = f"{PROJECT}/secret", b"url = 'https://ada:not-a-real-token@example.org'\n"
    told = lab.upload(name, {"a.py": secret})
    assert (told["state"], told["code"]) == ("failed", "secrets-found")
    assert "a.py, line 1: a password or token in an address" in told["problem"]
    assert "not-a-real-token" not in told["problem"]
    assert lab.bench.objects("secret") == {}
    again = f"uploads/{told['id']}"
    assert lab.ask("POST", again, {"allow_secrets": "yes"})[0] == 400
    assert lab.ask("POST", again, {"allow_secrets": True})[0] == 202
    assert lab.end_of(told["id"])["state"] == "done"
    assert lab.bench.read("secret/a.py") == secret


def test_a_key_that_no_store_can_have_is_refused_before_a_file_comes(lab: Lab) -> None:
    before = len(f"{PROJECT}/long/")
    path = "/".join(["x" * 200] * 4 + ["y" * (1024 - before - 4 * 201)])
    assert lab.begin(f"{PROJECT}/long", {path: b""})[0] == 201
    status, refusal = lab.begin(f"{PROJECT}/long", {f"{path}y": b""})
    assert (status, "longer than 1024 bytes" in refusal["message"]) == (400, True)


def test_a_tree_as_deep_as_keys_can_be_comes_and_goes(lab: Lab) -> None:
    path = "d/" * 490 + "f.txt"
    told = lab.upload(f"{PROJECT}/deep", {path: b"deep"})
    assert told["state"] == "done", told
    assert lab.bench.read(f"deep/{path}") == b"deep"
    assert lab.ask("DELETE", f"uploads/{told['id']}")[0] == 204


def test_a_notebook_with_a_secret_is_shared_only_where_that_is_allowed(lab: Lab) -> None:
    cells = [{**NOTEBOOK["cells"][1], "source": "login('https://a:not-a-real-token@example.org')"}]
    (lab.home / "secret.ipynb").write_text(json.dumps({**NOTEBOOK, "cells": cells}))
    status, planned = lab.ask("POST", "shares", {"path": "secret.ipynb", "dry": True})
    assert (status, planned["secrets"]) == (
        200,
        ["secret.ipynb, the code of cell 1: a password or token in an address"],
    )
    status, refusal = lab.ask("POST", "shares", {"path": "secret.ipynb"})
    assert (status, "the code of cell 1" in refusal["message"]) == (409, True)
    asked = {"path": "secret.ipynb", "allow_secrets": True}
    assert lab.ask("POST", "shares", asked)[1]["new"] is True


def test_a_notebook_that_nobody_could_open_is_refused(lab: Lab) -> None:
    (lab.home / "utf16.ipynb").write_bytes(json.dumps(NOTEBOOK).encode("utf-16"))
    status, refusal = lab.ask("POST", "shares", {"path": "utf16.ipynb", "dry": True})
    assert (status, "utf16.ipynb: the notebook is in UTF-16" in refusal["message"]) == (400, True)


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("files/0?offset=x", b"a", 400),
        ("files/0", b"a", 400),
        ("files/0?offset=-1", b"a", 400),
        ("files/0?offset=99999999999999999999", b"a", 400),
        ("files/9?offset=0", b"a", 404),
        ("files/0?offset=0", b"a" * 11, 400),
        ("files/0?offset=0", bytes(8 * 1024 * 1024 + 1), 413),
    ],
)
def test_a_piece_that_cannot_be_is_refused(
    lab: Lab, address: str, body: bytes, status: int
) -> None:
    begun = lab.begin(f"{PROJECT}/pieces", {"a": b"0123456789"})[1]
    got, refusal = lab.ask("PUT", f"uploads/{begun['id']}/{address}", body)
    assert got == status
    assert refusal["message"]
    assert lab.ask("DELETE", f"uploads/{begun['id']}")[0] == 204
    assert lab.ask("GET", f"uploads/{begun['id']}")[0] == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"path": 1}', b'{"path": "x.py"}'])
def test_what_cannot_be_understood_is_refused_in_words(lab: Lab, body: bytes) -> None:
    for address in ("shares", "copies", "uploads"):
        status, refusal = lab.ask("POST", address, body)
        assert status == 400
        assert refusal["message"]


def test_a_notebook_is_shared_and_a_copy_of_it_is_trusted_by_nobody(lab: Lab) -> None:
    (lab.home / "tuning.ipynb").write_text(json.dumps(NOTEBOOK))
    dry = lab.ask("POST", "shares", {"path": "tuning.ipynb", "dry": True})[1]
    assert (dry["name"], dry["datasets"]) == ("tuning", [f"{PROJECT}/browser"])
    asked = {"path": "tuning.ipynb", "name": "2026/tuning", "title": "Tuning", "note": "first"}
    status, shared = lab.ask("POST", "shares", asked)
    assert status == 200, shared
    assert (shared["label"], shared["new"]) == (f"{PROJECT}/2026/tuning@1", True)
    assert shared["page"] == f"/services/panneuro/notebooks/{PROJECT}/2026/tuning"
    assert lab.ask("POST", "shares", asked)[1]["new"] is False
    with ThreadPoolExecutor() as pool:
        answered = pool.map(
            lambda _: lab.ask("POST", "copies", {"notebook": shared["label"]}), range(4)
        )
    paths = sorted(answer["path"] for _, answer in answered)
    assert paths == [f"tuning-copy-{number}.ipynb" for number in range(2, 6)]
    status, opened = lab.ask("GET", f"../../api/contents/{paths[0]}")
    assert status == 200
    code = opened["content"]["cells"][1]
    assert code["source"] == f'lab.open("{PROJECT}/browser")'
    assert code["metadata"] == {"trusted": False}


def test_a_notebook_that_is_not_there_is_told(lab: Lab) -> None:
    status, refusal = lab.ask("POST", "copies", {"notebook": f"{PROJECT}/none@3"})
    assert status == 404
    assert "none" in refusal["message"]
    status, refusal = lab.ask("POST", "copies", {"notebook": "human/x"})
    assert status == 403
    assert "human" in refusal["message"]
    status, refusal = lab.ask("POST", "shares", {"path": "nowhere.ipynb"})
    assert status == 400
    assert "nowhere.ipynb" in refusal["message"]
