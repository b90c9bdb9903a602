"""What looks like a secret is named without its value, and what does not is left in peace.

The secrets here are made up, and put together while the tests run: nothing that looks for real
ones finds them in this file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.catalog.notebook_file import NotebookFile
from panneuro_hub.client.local_files import scan_folder
from panneuro_hub.client.secret_scan import (
    MOST_FINDINGS,
    SCANNED_BYTES,
    scan_content,
    scan_files,
    scan_notebook,
)
from panneuro_hub.client.transfer_errors import LocalFileError

LETTERS = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA3bC5d"
PRIVATE = "-----BEGIN {}PRIVATE KEY-----"
SECRETS = {
    "url": ("https://user:" + "not-a-real-token@example.org/study", "password or token in an addr"),
    "database": ("postgresql://lab:" + "hunter2x@db.example.org/data", "password or token in an"),
    "rsa": (f"{PRIVATE.format('RSA ')}\n{LETTERS}", "a private key"),
    "ssh": (f"{PRIVATE.format('OPENSSH ')}\n{LETTERS}", "a private key"),
    "google account": (
        json.dumps({"private_key": f"{PRIVATE.format('')}\n{LETTERS}"}),
        "a private",
    ),
    "aws id": ("AKIA" + "QRSTUVWXYZ234567", "an access key of AWS"),
    "aws secret": (f'aws_secret_access_key = "{LETTERS}"', "a secret key of AWS"),
    "github": ("ghp_" + LETTERS[:36], "a token of GitHub"),
    "github fine": ("github_pat_" + LETTERS, "a token of GitHub"),
    "gitlab": ("glpat-" + LETTERS[:20], "a token of GitLab"),
    "slack": ("xoxb-" + "123456789012-abcdefABCDEF", "a token of Slack"),
    "google": ("AIza" + LETTERS[:35], "a key of Google"),
    "putty": ("PuTTY-User-Key-File-3: " + "ssh-ed25519", "a private key"),
    "slack hook": (f"hooks.slack.com/services/T{'0A' * 4}/B{'1B' * 4}/{LETTERS}", "of Slack"),
    "google login": ("ya29." + LETTERS, "a token of Google"),
    "language model": ("sk-" + f"proj-{LETTERS}", "a key of a language model's provider"),
    "pypi": ("pypi-AgE" + LETTERS * 2, "a token of PyPI"),
    "hugging face": ("hf_" + LETTERS[:34], "a token of Hugging Face"),
    "header": (f'headers = {{"Authorization": "Bearer {LETTERS}"}}', "a login header"),
    "jwt": (f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}", "a login token (JWT)"),
    "password": ('password = "' + 'hunter2x"', "a password"),
    "environ": (f'os.environ["HUB_TOKEN"] = "{LETTERS}"', "a secret or token"),
    "keyword": (f"client(api_key='{LETTERS}')", "a secret or token"),
    "shell": (f"export OSF_TOKEN={LETTERS}", "a secret or token"),
}
HARMLESS = [
    # Sidecars of BIDS, with the checksums that they have.
    json.dumps({"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}),
    json.dumps({"MD5": "d41d8cd98f00b204e9800998ecf8427e", "RepetitionTime": 2.0}),
    json.dumps({"SeriesInstanceUID": "1.3.12.2.1107.5.2.43.66012.2018101510210578949401.0.0.0"}),
    json.dumps({"GeneratedBy": [{"Container": {"Tag": "docker://poldracklab/fmriprep:20.2.0"}}]}),
    "docker://fmriprep:20.2.0@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    json.dumps({"TaskName": "token", "Instructions": "Learn the secret password: apples"}),
    "participant_id\tage\ttoken\nsub-01\t34\t12\n",
    "https://example.org:8888/lab?x=a@b",
    "mailto:ada@example.org, git@github.com:lab/study.git, ssh://git@github.com/lab/study",
    "doi:10.18112/openneuro.ds000030.v1.0.0",
    # What documentation and code have instead of a secret.
    "https://user:password@example.org", "https://$USER:$TOKEN@example.org",
    'f"https://x:{token}@example.org"', "https://<user>:<token>@example.org",
    "https://user:********@example.org",
    'password = "password"', "password = getpass('Password: ')", 'password=os.environ["PW"]',
    'token = "<your token here>"', 'api_key = "your-api-key-0123456789-abcd"',
    'token = os.environ["HUB_TOKEN"]', "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_" + "x" * 36, "HUB_TOKEN=${TOKEN}", "TOKEN=",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n...\n",
    "-----BEGIN PUBLIC KEY-----\n" + LETTERS, "-----BEGIN CERTIFICATE-----\n" + LETTERS,
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + LETTERS,
    'tokenizer = "bert-base-uncased-12-layers"', "hf_hub_download('x')", "sk-learn", "AIza",
    'secret_name = "none"', 'keys = ["0123456789abcdef0123456789abcdef"]',
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_named_without_its_value(name: str) -> None:
    text, kind = SECRETS[name]
    found = scan_content("notes.txt", f"first\n{text}\n".encode())
    assert any(kind in one.kind and one.place == "line 2" for one in found), found
    assert all(part not in str(found) for part in (LETTERS[:20], "hunter2x", "not-a-real"))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_in_peace(text: str) -> None:
    assert scan_content("dataset_description.json", f"first\n{text}\n".encode()) == []


@pytest.mark.parametrize(
    ("name", "warns"),
    [
        (".env", True), ("code/.env", True), (".env.local", True), (".env.example", False),
        (".netrc", True), ("_netrc", True), (".pgpass", True), (".git-credentials", True),
        (".aws/credentials", True), ("credentials", False), ("id_rsa", True), ("id_rsa.pub", False),
        ("id_ed25519", True), ("environment.yml", False), ("x.env.txt", False), ("my.kdbx", True),
    ],
)  # fmt: skip
def test_some_files_warn_by_their_names(name: str, warns: bool) -> None:
    assert bool(scan_content(name, b"nothing")) == warns


def test_no_real_sidecar_or_table_warns(tmp_path: Path) -> None:
    """Random checksums and numbers, as sidecars and tables have by the thousand."""
    rows = "".join(f"{hash(n):x}\t{n * 7919 % 65537:032x}\t{n / 7}\n" for n in range(1, 2000))
    (tmp_path / "a.tsv").write_text(rows)
    (tmp_path / "b.json").write_text(
        json.dumps({f"sha256_{n}": f"{n * 104729:064x}" for n in range(300)})
    )
    assert scan_files(scan_folder(tmp_path).files) == []


def notebook(*cells: dict[str, Any]) -> NotebookFile:
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}
    return NotebookFile.decode(json.dumps(document).encode())


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs)}


def test_a_notebook_is_looked_at_cell_by_cell() -> None:
    token = SECRETS["github"][0]
    found = scan_notebook(
        "n.ipynb",
        notebook(
            code("x = 1"),
            code(f"login('{token}')\nlogin('{token}')"),
            {"cell_type": "markdown", "metadata": {}, "source": SECRETS["url"][0]},
            code("%env", {"output_type": "stream", "name": "stdout", "text": ["a\n", token]}),
            code("1/0", {"output_type": "error", "traceback": ["x", f"login('{token}')"]}),
            code("d", {"output_type": "execute_result", "data": {"text/plain": [token]}}),
            code("p", {"output_type": "display_data", "data": {"image/png": token}}),
        ),
    )
    assert [str(one) for one in found] == [
        "n.ipynb, the code of cell 2: a token of GitHub",
        "n.ipynb, the text of cell 3: a password or token in an address",
        "n.ipynb, the output of cell 4: a token of GitHub",
        "n.ipynb, the output of cell 5: a token of GitHub",
        "n.ipynb, the output of cell 6: a token of GitHub",
    ]


def test_reading_is_bounded(tmp_path: Path) -> None:
    token = SECRETS["github"][0].encode()
    (tmp_path / "late.txt").write_bytes(b"x" * SCANNED_BYTES + b"\n" + token)
    (tmp_path / "image.nii").write_bytes(token)
    (tmp_path / "binary.bin").write_bytes(b"\0" + token)
    (tmp_path / "early.txt").write_bytes(b"\n\n" + token + b" " * 10 * SCANNED_BYTES)
    (tmp_path / "wide.txt").write_bytes(token.decode().encode("utf-16"))
    assert [str(one) for one in scan_files(scan_folder(tmp_path).files)] == [
        "early.txt, line 3: a token of GitHub",
        "wide.txt, line 1: a token of GitHub",
    ]


def test_so_many_are_named_and_no_more(tmp_path: Path) -> None:
    for number in range(MOST_FINDINGS + 20):
        (tmp_path / f"{number}.txt").write_text(SECRETS["github"][0])
    assert len(scan_files(scan_folder(tmp_path).files)) == MOST_FINDINGS


def test_a_file_that_vanishes_meanwhile_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    found = scan_folder(tmp_path)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(LocalFileError, match=r"a\.txt: no such file"):
        scan_files(found.files)


@pytest.mark.parametrize("unit", ["a", "://", "://a:", "password=", "-----BEGIN ", "eyJa.", "\\n"])
def test_no_text_takes_long(unit: str) -> None:
    # Minutes, where the time grows with the square of the length.
    scan_content("a.txt", (unit * SCANNED_BYTES)[:SCANNED_BYTES].encode())


@given(st.binary(max_size=300), st.sampled_from(["a.txt", "a.ipynb", ".env", "a.json"]))
def test_no_bytes_break_the_search(content: bytes, name: str) -> None:
    scan_content(name, content)
