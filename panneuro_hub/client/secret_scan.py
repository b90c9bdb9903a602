"""Look for what seems to be a secret in files that a person is about to send or to share.

A short table of well-known shapes, rather than a library: detect-secrets, the one that is
widely used, is made for source code and takes every long random text for a secret, and checksums
are what sidecar files of BIDS and manifests consist of. The tests hold the texts that must not
warn.

The reading is bounded: of a text file its beginning, of a notebook the code, the text and the
outputs of its cells. Data files are not read. A finding never holds the secret itself.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from panneuro_hub.catalog.formats import guess_kind
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.notebook_file import NotebookFile, join_text
from panneuro_hub.catalog.notebook_records import LARGEST_NOTEBOOK
from panneuro_hub.client.local_files import LocalFile, open_unchanged
from panneuro_hub.client.path_text import format_path

SCANNED_BYTES = 64 * 1024
"""How much of a text file is looked at, in bytes."""

MOST_FINDINGS = 100
_LONGEST_OUTPUT = 256 * 1024  # characters
_BINARY_KINDS = ("zarr", "nwb", "hdf5", "netcdf", "nifti")
_TEXT_OUTPUTS = ("text/plain", "text/html", "text/markdown", "application/json")


@dataclass(frozen=True)
class SecretFinding:
    """A place that seems to hold a secret.

    Parameters
    ----------
    path : str
        Of the file.
    place : str
        In the file, such as ``line 3`` or ``the code of cell 2``; ``""`` for all of it.
    kind : str
        What it seems to be, such as ``a private key``.
    """

    path: str
    place: str
    kind: str

    def __str__(self) -> str:
        place = f", {self.place}" if self.place else ""
        return f"{format_path(self.path)}{place}: {self.kind}"


@dataclass(frozen=True)
class _SecretPattern:
    """One kind of secret: the group ``value``, where there is one, must be no placeholder.

    A text that has none of ``words`` in small letters cannot match: most texts are passed over so.
    """

    kind: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]


# Each pattern begins with literal text, or with an alternative of few, and repeats with a bound:
# the time for a line of a million letters grows with its length alone.
_SECRET_PATTERNS = tuple(
    _SecretPattern(kind, tuple(words.split("|")), re.compile(pattern))
    for kind, words, pattern in (
        (
            "a private key",
            "private key",
            r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|\s){1,4}"
            r"(?:[A-Za-z-]{3,20}: [^\n]{0,200}(?:\\n|\s){1,4}){0,5}[A-Za-z0-9+/=]{20}",
        ),
        ("a private key", "putty-user-key-file", r"PuTTY-User-Key-File-[23]: "),
        (
            "a password or token in an address",
            "://",
            r"(?<!docker)(?<!oras)://[^\s/:@\"'<>]{0,100}:(?P<value>[^\s/@\"'<>]{3,300})@[A-Za-z0-9\[]",
        ),
        ("an access key of AWS", "akia|asia", r"\b(?:AKIA|ASIA)(?P<value>[A-Z2-7]{16})\b"),
        (
            "a secret key of AWS",
            "aws",
            r"(?i:aws_?secret_?(?:access_?)?key)[\"'\]]{0,2}\s{0,4}[:=]\s{0,4}[\"']?"
            r"(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        ),
        (
            "a token of GitHub",
            "ghp_|gho_|ghu_|ghs_|ghr_",
            r"\bgh[pousr]_(?P<value>[A-Za-z0-9]{36,255})\b",
        ),
        ("a token of GitHub", "github_pat_", r"\bgithub_pat_(?P<value>[A-Za-z0-9_]{22,255})\b"),
        (
            "a token of GitLab",
            "glpat-|gldt-|glrt-|glptt-|glcbt-|glsoat-|glagent-",
            r"\bgl(?:pat|dt|rt|ptt|cbt|soat|agent)-(?P<value>[A-Za-z0-9_-]{20,300})",
        ),
        ("a token of Slack", "xox", r"\bxox[abeprs]-(?P<value>[A-Za-z0-9-]{10,300})"),
        (
            "a token of Slack",
            "hooks.slack.com",
            r"hooks\.slack\.com/services/(?P<value>T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{10,})",
        ),
        ("a key of Google", "aiza", r"\bAIza(?P<value>[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])"),
        ("a token of Google", "ya29.", r"\bya29\.(?P<value>[A-Za-z0-9_-]{20,2000})"),
        ("a token of Hugging Face", "hf_", r"\bhf_(?P<value>[A-Za-z0-9]{30,100})\b"),
        (
            "a key of a language model's provider",
            "sk-",
            r"\bsk-(?:proj|ant|svcacct)-(?P<value>[A-Za-z0-9_-]{20,300})",
        ),
        ("a token of PyPI", "pypi-age", r"\bpypi-AgE(?P<value>[A-Za-z0-9_-]{50,1000})"),
        (
            "a login token (JWT)",
            "eyj",
            r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ(?P<value>[A-Za-z0-9_-]{10,4000})\.[A-Za-z0-9_-]{20}",
        ),
        (
            "a login header",
            "authorization",
            r"(?i:authorization)[\"'\]]{0,2}\s{0,4}[:=,]\s{0,4}[\"']?(?i:bearer|token|basic)\s{1,4}"
            r"(?P<value>[A-Za-z0-9._~+/=-]{16,2000})",
        ),
        (
            "a password",
            "passw|passphrase",
            r"(?i:password|passwd|passphrase)[\"'\]]{0,2}\s{0,4}[:=]\s{0,4}"
            r"(?P<quote>[\"'])(?P<value>[^\"'\s]{6,100})(?P=quote)",
        ),
        (
            "a secret or token",
            "secret|token|key",
            r"(?i:secret|token|api_?key|access_?key|secret_?key)[\"'\]]{0,2}\s{0,4}[:=]\s{0,4}"
            r"(?P<quote>[\"'])(?P<value>(?=[^\"']{0,60}[0-9])(?=[^\"']{0,60}[A-Za-z])"
            r"[A-Za-z0-9_+/=-]{20,500})(?P=quote)",
        ),
        (
            "a secret or token",
            "password=|secret=|token=|key=",
            r"(?:PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY|SECRET_KEY)=(?P<value>[^\s\"'$<>{}()]{12,500})",
        ),
    )
)
_FILE_NAMES = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (
            r"(.*/)?\.env(\.(?!example$|sample$|template$|dist$)[^/]*)?",
            "a file of settings that often has keys",
        ),
        (r"(.*/)?[._]netrc", "a file of passwords"),
        (r"(.*/)?(\.pgpass|\.git-credentials|\.pypirc|\.htpasswd)", "a file of passwords"),
        (r"(.*/)?\.aws/credentials", "a file of keys"),
        (r"(.*/)?id_(rsa|dsa|ecdsa|ed25519)(_sk)?", "a private key"),
        (r".*\.kdbx?", "a file of passwords"),
    )
)
# Of a secret that is left to be filled in, or is made while a program runs.
_PLACEHOLDER = re.compile(
    r"[<>{}$%*]|\.\.\.|\A(.)\1*\Z|\A(?:x+|(?:my|your|the|some)?[_-]?"
    r"(?:password|passwd|secret|token|pass|pw|key|changeme))\Z|\Ayour[_-]|example|placeholder"
    r"|redacted|censored|dummy",
    re.IGNORECASE | re.DOTALL,
)


def scan_files(files: Iterable[LocalFile]) -> list[SecretFinding]:
    """Return what seems to be a secret in these files, a bounded number of places.

    Raises
    ------
    FileProblem
        If a file cannot be read, or has changed since it was found.
    """
    found: list[SecretFinding] = []
    for file in files:
        if file.size:
            found += scan_content(file.path, _read_beginning(file))
        if len(found) >= MOST_FINDINGS:
            break
    return found[:MOST_FINDINGS]


def scan_content(path: str, content: bytes) -> list[SecretFinding]:
    """Return what seems to be a secret in one file, of which `content` is the beginning."""
    by_name = next((kind for pattern, kind in _FILE_NAMES if pattern.fullmatch(path)), None)
    if by_name is not None:
        return [SecretFinding(path, "", by_name)]
    if path.endswith(".ipynb"):
        try:
            return scan_notebook(path, NotebookFile.decode(content))
        except MalformedRecordError:
            pass  # looked at like any other text
    text = _decode_text(content[:SCANNED_BYTES])
    return [
        SecretFinding(path, f"line {text.count(chr(10), 0, start) + 1}", kind)
        for kind, start in _scan_text(text)
    ]


def scan_notebook(path: str, notebook: NotebookFile) -> list[SecretFinding]:
    """Return what seems to be a secret in the cells of a notebook and in their outputs."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        what = "code" if cell.kind == "code" else "text"
        found += [(f"the {what} of cell {number}", kind) for kind, _ in _scan_text(cell.source)]
        for output in cell.outputs:
            text = "\n".join(_list_output_texts(output))[:_LONGEST_OUTPUT]
            found += [(f"the output of cell {number}", kind) for kind, _ in _scan_text(text)]
    return [SecretFinding(path, place, kind) for place, kind in dict.fromkeys(found)]


def _scan_text(text: str) -> Iterator[tuple[str, int]]:
    """Return the kinds of secrets in a text, each once, and where the first one begins."""
    told = set()
    small = text.lower()
    for shape in _SECRET_PATTERNS:
        if not any(word in small for word in shape.words):
            continue
        for match in shape.pattern.finditer(text):
            value = match.groupdict().get("value")
            if value is not None and _PLACEHOLDER.search(value):
                continue
            if shape.kind not in told:
                told.add(shape.kind)
                yield shape.kind, match.start()
            break


def _list_output_texts(output: Mapping[str, Any]) -> Iterator[str]:
    yield join_text(output.get("text")) or ""
    yield join_text(output.get("traceback")) or ""
    data = output.get("data")
    for kind in _TEXT_OUTPUTS:
        value = data.get(kind) if isinstance(data, dict) else None
        yield join_text(value) or (str(value) if isinstance(value, dict) else "")


def _read_beginning(file: LocalFile) -> bytes:
    """Return as much of a file as is looked at; nothing of a data file."""
    if guess_kind(file.path) in _BINARY_KINDS:
        return b""
    whole = file.path.endswith(".ipynb") and file.size <= LARGEST_NOTEBOOK
    with open_unchanged(file) as opened:
        begin = opened.read(1024)
        if b"\0" in begin and not begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return b""
        return begin + opened.read(file.size if whole else SCANNED_BYTES - len(begin))


def _decode_text(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8", "replace")
