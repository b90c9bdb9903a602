"""Check datasets with the validators of their formats.

Each validator runs in its own process with a time limit, and its failure becomes a
finding. bids-validator-deno checks BIDS. nwbinspector checks NWB and also runs pynwb's
validator. Both come with ``panneuro-hub[validate]``.
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
    """One finding of a validator, about one place or many.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
    code : str
        The validator's name for it; ``""`` if it is about the validator itself.
    message : str
        One line.
    places : tuple of str
        Some of the files that it concerns.
    count : int
        The number of all such files.
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
    """One message of a validator, before messages of one kind are grouped."""

    severity: Severity
    code: str
    message: str
    place: str
    path: str


class _ValidatorError(Exception):
    """A validator failed; the text says why."""


def validate_dataset(
    folder: Path,
    kind: Format,
    timeout: float = _TIMEOUT,
    left_out: Collection[str] = (),
) -> tuple[ValidatorFinding, ...]:
    """Run the validator of a format on a dataset on this machine.

    Parameters
    ----------
    folder : Path
        The dataset; for NWB it may be one file.
    kind : str
        The result of `recognize_format`. ``zarr`` and ``files`` have no validator.
    timeout : float
        Seconds for the validator.
    left_out : collection of str
        Files and folders that do not belong to the dataset, such as ``.git``.

    Returns
    -------
    tuple of ValidatorFinding
        The worst first. A missing or failing validator raises nothing; it is a finding.
    """
    validators: dict[Format, Callable[[Path, float], Iterator[_ValidatorMessage]]] = {
        "bids": _run_bids_validator,
        "nwb": _run_nwbinspector,
    }
    if kind not in validators:
        return ()
    try:
        messages = validators[kind](folder.absolute(), timeout)
        found = _group_messages(one for one in messages if not _is_below(one.path, left_out))
    except _ValidatorError as problem:
        return (ValidatorFinding("warning", "", str(problem)),)
    return tuple(sorted(found, key=lambda one: (_ORDER[one.severity], one.code)))


def _run_bids_validator(folder: Path, timeout: float) -> Iterator[_ValidatorMessage]:
    report = _run_validator(
        "bids-validator-deno", ["--format", "json", "--outfile"], folder, timeout
    )
    issues = _read_mapping(report.get("issues"))
    texts = _read_mapping(issues.get("codeMessages"))
    for issue in _read_mappings(issues.get("issues")):
        code, sub = _format_line(issue.get("code")), _format_line(issue.get("subCode"))
        place = _format_line(issue.get("location")).lstrip("/")
        yield _ValidatorMessage(
            _BIDS.get(str(issue.get("severity")), "note"),
            code,
            _format_line(texts.get(code)) or _format_line(issue.get("issueMessage")),
            f"{sub} of {place}" if sub else place,
            place,
        )


def _run_nwbinspector(folder: Path, timeout: float) -> Iterator[_ValidatorMessage]:
    report = _run_validator("nwbinspector", ["--json-file-path"], folder, timeout)
    for message in _read_mappings(report.get("messages")):
        text = str(message.get("message") or "")
        broken = text.startswith("Traceback")
        path = Path(str(message.get("file_path") or ""))
        below = path.relative_to(folder) if path.is_relative_to(folder) else path
        where = "" if broken else _format_line(message.get("location"))
        yield _ValidatorMessage(
            _NWB.get(str(message.get("importance")), "note"),
            "" if broken else _format_line(message.get("check_function_name")),
            # The last line of a traceback is the message.
            _format_line(text.strip().rpartition("\n")[2] if broken else text),
            _format_line(f"{below if str(below) != '.' else path.name} {where}"),
            below.as_posix(),
        )


def _run_validator(
    program: str, options: list[str], folder: Path, timeout: float
) -> Mapping[str, Any]:
    """Return a validator's report, which it writes as JSON to the path after the options."""
    found = shutil.which(program, path=_search_path())
    if found is None:
        raise _ValidatorError(
            f"not checked: {program} is not installed; it comes with panneuro-hub[validate]"
        )
    with tempfile.TemporaryDirectory(prefix="panneuro-check-") as scratch:
        report = Path(scratch, "report.json")
        errors = Path(scratch, "errors.txt")
        try:
            with errors.open("wb") as stderr:
                status = _run_with_timeout(
                    [found, *options, str(report), str(folder)], stderr, timeout
                )
            document = json.loads(report.read_bytes())
        except subprocess.TimeoutExpired:
            raise _ValidatorError(
                f"not checked: {program} did not finish within {timeout:g} seconds"
            ) from None
        except FileNotFoundError:
            why = _last_error_line(errors) or f"status {status}"
            raise _ValidatorError(
                f"not checked: {program} ended without a report ({why})"
            ) from None
        except (OSError, ValueError, RecursionError) as problem:
            kind = type(problem).__name__
            raise _ValidatorError(f"not checked: {program} cannot be used ({kind})") from problem
    return _read_mapping(document)


def _run_with_timeout(command: list[str], stderr: IO[bytes], timeout: float) -> int:
    """Run a program in its own folder; kill it with its children after the timeout."""
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=Path(stderr.name).parent,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_error_line(errors: Path) -> str:
    """Return the line of a program's output that says why it failed."""
    lines = errors.read_bytes()[-_MOST_WORDS:].decode("utf-8", "replace").splitlines()
    named = [line for line in lines if "error:" in line.lower()]
    return _format_line((named or lines or [""])[-1])


def _search_path() -> str:
    # The environment's programs come first: the environment may not be activated.
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def _is_below(path: str, folders: Collection[str]) -> bool:
    return any(f"{path}/".startswith(f"{folder}/") for folder in folders)


def _group_messages(messages: Iterable[_ValidatorMessage]) -> list[ValidatorFinding]:
    """Return one finding for each kind of message: a large dataset has thousands."""
    places: dict[tuple[Severity, str, str], list[str]] = {}
    for one in messages:
        places.setdefault((one.severity, one.code, one.message), []).append(one.place)
    return [
        ValidatorFinding(*kind, tuple(place for place in at[:_MOST_PLACES] if place), len(at))
        for kind, at in places.items()
    ]


def _read_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _format_line(value: object) -> str:
    """Return a text from outside as one printable line."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
