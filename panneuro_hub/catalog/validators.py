"""What the field's own validators say of a dataset.

They run as processes of their own, with a time limit: whatever one of them does, or
a file does to it, becomes a sentence among what was found. BIDS is judged by
bids-validator-deno, NWB by nwbinspector, which asks pynwb's validator as well; both
come with ``panneuro-hub[validate]``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from panneuro_hub.catalog.manifest import Format

Severity = Literal["error", "warning", "note"]

_TIMEOUT = 1800.0  # seconds
_MOST_PLACES = 5  # places of one finding
_LONGEST_MESSAGE = 400  # characters
_MOST_WORDS = 65536  # bytes
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
_BIDS: dict[str, Severity] = {"error": "error", "warning": "warning"}
_NWB: dict[str, Severity] = {
    **dict.fromkeys(("ERROR", "PYNWB_VALIDATION", "CRITICAL"), "error"),
    "BEST_PRACTICE_VIOLATION": "warning",
}


@dataclass(frozen=True)
class ValidatorFinding:
    """One thing that a validator said, of one place or of many.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
    code : str
        The validator's own name for it; ``""`` where it is about the validator.
    message : str
        One line.
    places : tuple of str
        Some of the files that it is about.
    count : int
        How many there are.
    """

    severity: Severity
    code: str
    message: str
    places: tuple[str, ...] = ()
    count: int = 1

    def __str__(self) -> str:
        more = self.count - len(self.places)
        places = ", ".join(self.places) + (f" and {more} more" if more > 0 else "")
        where = f" ({places})" if self.places else ""
        code = f"{self.code}: " if self.code else ""
        return f"{self.severity}: {code}{self.message}{where}"


@dataclass(frozen=True)
class _ValidatorMessage:
    """One message, before those of one kind are put together."""

    severity: Severity
    code: str
    message: str
    place: str
    path: str


class _ValidatorError(Exception):
    """A validator did not do its work; the text says why."""


def validate_dataset(
    folder: Path,
    kind: Format,
    patience: float = _TIMEOUT,
    left_out: Collection[str] = (),
) -> tuple[ValidatorFinding, ...]:
    """Ask the validators of a format about a dataset on this machine.

    Parameters
    ----------
    folder : Path
        The dataset; for NWB it may be one file.
    kind : str
        What `recognise` found. ``zarr`` and ``files`` have no validator.
    patience : float
        Seconds for the validator.
    left_out : collection of str
        Files and folders that are not of the dataset, such as ``.git``; nothing is said of them.

    Returns
    -------
    tuple of Finding
        The worst first. Nothing is raised for what a validator does: where none is
        installed, or it fails, a finding says so.
    """
    validators: dict[Format, Callable[[Path, float], Iterator[_ValidatorMessage]]] = {
        "bids": _run_bids_validator,
        "nwb": _run_nwbinspector,
    }
    if kind not in validators:
        return ()
    try:
        said = validators[kind](folder.absolute(), patience)
        found = _group_messages(one for one in said if not _is_below(one.path, left_out))
    except _ValidatorError as problem:
        return (ValidatorFinding("warning", "", str(problem)),)
    return tuple(sorted(found, key=lambda one: (_ORDER[one.severity], one.code)))


def _run_bids_validator(folder: Path, patience: float) -> Iterator[_ValidatorMessage]:
    report = _run_validator(
        "bids-validator-deno", ["--format", "json", "--outfile"], folder, patience
    )
    issues = _mapping(report.get("issues"))
    texts = _mapping(issues.get("codeMessages"))
    for issue in _mappings(issues.get("issues")):
        code, sub = _line(issue.get("code")), _line(issue.get("subCode"))
        place = _line(issue.get("location")).lstrip("/")
        yield _ValidatorMessage(
            _BIDS.get(str(issue.get("severity")), "note"),
            code,
            _line(texts.get(code)) or _line(issue.get("issueMessage")),
            f"{sub} of {place}" if sub else place,
            place,
        )


def _run_nwbinspector(folder: Path, patience: float) -> Iterator[_ValidatorMessage]:
    report = _run_validator("nwbinspector", ["--json-file-path"], folder, patience)
    for message in _mappings(report.get("messages")):
        text = str(message.get("message") or "")
        broken = text.startswith("Traceback")
        path = Path(str(message.get("file_path") or ""))
        below = path.relative_to(folder) if path.is_relative_to(folder) else path
        where = "" if broken else _line(message.get("location"))
        yield _ValidatorMessage(
            _NWB.get(str(message.get("importance")), "note"),
            "" if broken else _line(message.get("check_function_name")),
            # Of a traceback the last line is for people.
            _line(text.strip().rpartition("\n")[2] if broken else text),
            _line(f"{below if str(below) != '.' else path.name} {where}"),
            below.as_posix(),
        )


def _run_validator(
    program: str, options: list[str], folder: Path, patience: float
) -> Mapping[str, Any]:
    """A validator's report of a folder, which it writes as JSON to the file named last."""
    found = shutil.which(program, path=_search_path())
    if found is None:
        raise _ValidatorError(
            f"not checked: {program} is not installed; it comes with panneuro-hub[validate]"
        )
    with tempfile.TemporaryDirectory(prefix="panneuro-check-") as scratch:
        report = Path(scratch, "report.json")
        errors = Path(scratch, "errors.txt")
        try:
            with errors.open("wb") as said:
                status = _run_with_timeout(
                    [found, *options, str(report), str(folder)], said, patience
                )
            document = json.loads(report.read_bytes())
        except subprocess.TimeoutExpired:
            raise _ValidatorError(
                f"not checked: {program} was not ready after {patience:g} seconds"
            ) from None
        except FileNotFoundError:
            why = _last_error_line(errors) or f"status {status}"
            raise _ValidatorError(
                f"not checked: {program} ended without a report ({why})"
            ) from None
        except (OSError, ValueError, RecursionError) as problem:
            kind = type(problem).__name__
            raise _ValidatorError(f"not checked: {program} cannot be used ({kind})") from problem
    return _mapping(document)


def _run_with_timeout(command: list[str], said: IO[bytes], patience: float) -> int:
    """Run a program in a folder of its own; at the end of patience it goes, with its children."""
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=Path(said.name).parent,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,
    )
    try:
        return process.wait(patience)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_error_line(errors: Path) -> str:
    """What a program said of why it failed."""
    lines = errors.read_bytes()[-_MOST_WORDS:].decode("utf-8", "replace").splitlines()
    named = [line for line in lines if "error:" in line.lower()]
    return _line((named or lines or [""])[-1])


def _search_path() -> str:
    # The environment's own programs first: it need not be activated.
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def _is_below(path: str, folders: Collection[str]) -> bool:
    return any(f"{path}/".startswith(f"{folder}/") for folder in folders)


def _group_messages(said: Iterable[_ValidatorMessage]) -> list[ValidatorFinding]:
    """Messages of one kind as one finding: a large dataset has thousands."""
    places: dict[tuple[Severity, str, str], list[str]] = {}
    for one in said:
        places.setdefault((one.severity, one.code, one.message), []).append(one.place)
    return [
        ValidatorFinding(*kind, tuple(place for place in at[:_MOST_PLACES] if place), len(at))
        for kind, at in places.items()
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _line(value: object) -> str:
    """A text from outside as one printable line."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
