"""The functions behind the commands, without the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from panneuro_hub.catalog import DatasetRecord, dataset_records
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.client.connection import is_in_session, open_connection
from panneuro_hub.client.dataset_names import DatasetName
from panneuro_hub.client.excluded_files import InclusionPatterns
from panneuro_hub.client.login import StoredLogin
from panneuro_hub.client.transfer.dataset_transfer import (
    DatasetDescription,
    DatasetTransfer,
    TransferResult,
)
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.progress import TransferProgress, show_progress
from panneuro_hub.client.transfer_errors import WrongNameError
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.lab import current_session
from panneuro_hub.wire.credential import format_time

T = TypeVar("T")

_MOST_NAMES = 5  # datasets


@dataclass(frozen=True)
class ListingTable:
    """A listing, for people and for programs."""

    table: Sequence[tuple[str, ...]]
    document: Any
    problems: tuple[str, ...] = ()


def upload_dataset(
    path: Path,
    dataset: str,
    said: DatasetDescription,
    *,
    update: bool = False,
    dry: bool = False,
    checked: bool = True,
    include: Sequence[str] = (),
    allow_secrets: bool = False,
    quiet: bool = True,
) -> TransferResult:
    """Send a folder or a file.

    Raises as `DatasetTransfer.upload`, and `WrongNameError` for `include`.
    """
    wanted = InclusionPatterns(tuple(include))
    with _open_transfer(dataset, quiet=quiet, writing=True) as transfer:
        return transfer.upload(
            path,
            said,
            update=update,
            dry=dry,
            checked=checked,
            include=wanted,
            allow_secrets=allow_secrets,
        )


def download_dataset(
    dataset: str, path: Path, *, update: bool = False, quiet: bool = True
) -> TransferResult:
    """Fetch a dataset; raises as `DatasetTransfer.download`."""
    with _open_transfer(dataset, quiet=quiet, writing=False) as transfer:
        return transfer.download(path, update=update)


def list_projects() -> ListingTable:
    """Return the projects that the person may read."""
    if is_in_session():
        view = current_session.session()
        found = dict.fromkeys(view.prefixes, "read")
        if view.level is not None:
            found[view.project] = view.level
        titles = {view.project: view.title}
    else:
        answer = StoredLogin.read().call("GET", "/api/login").get("projects", {})
        found = {name: str(one["level"]) for name, one in answer.items() if one.get("level")}
        titles = {name: str(one.get("title", "")) for name, one in answer.items()}
    table = [(name, level, titles.get(name, "")) for name, level in sorted(found.items())]
    document = [{"project": name, "level": level, "title": title} for name, level, title in table]
    return ListingTable(table, document)


def list_datasets(project: str) -> ListingTable:
    """Return the datasets of a project, including incomplete ones."""
    with _open_transfer(project, quiet=True, writing=False, whole=True) as transfer:
        catalog = transfer.catalog()
    under_way = {upload.dataset for upload in catalog.uploads}
    table: list[tuple[str, ...]] = [
        (
            record.dataset,
            "being changed" if record.dataset in under_way else record.format,
            format_size(record.size),
            _format_count(record.files_count, "file"),
            f"{record.created:%Y-%m-%d}",
            record.created_by,
            _format_title(record),
        )
        for record in catalog.records
    ]
    complete = {record.dataset for record in catalog.records}
    table += [
        (
            upload.dataset,
            "not complete",
            format_size(upload.size),
            _format_count(upload.files_count, "file"),
            f"{upload.began:%Y-%m-%d}",
            upload.by,
            "",
        )
        for upload in catalog.uploads
        if upload.dataset not in complete
    ]
    document = {
        "project": project,
        "datasets": [record.to_json() for record in catalog.records],
        "not_complete": [
            {"dataset": one.dataset, "by": one.by, "began": format_time(one.began)}
            for one in catalog.uploads
        ],
        "troubles": [{"key": one.key, "reason": one.reason} for one in catalog.problems],
    }
    return ListingTable(sorted(table), document, tuple(str(one) for one in catalog.problems))


def list_all_datasets() -> ListingTable:
    """Return the datasets of all projects that the person may read, with project names."""
    each, problems = query_all_projects(list_datasets)
    table: list[tuple[str, ...]] = []
    for name, listed in each.items():
        table += [(f"{name}/{dataset}", *others) for dataset, *others in listed.table]
        problems += [f"{name}: {trouble}" for trouble in listed.problems]
    return ListingTable(table, [listed.document for listed in each.values()], tuple(problems))


def query_all_projects(one: Callable[[str], T]) -> tuple[dict[str, T], list[str]]:
    """Return the results of `one` for every readable project, and the refusals of others."""
    found: dict[str, T] = {}
    ended = []
    for name, *_ in list_projects().table:
        try:
            found[name] = one(name)
        except AccessDeniedError as refusal:
            # The access ended after the listing of projects.
            ended.append(str(refusal))
    return found, ended


def rebuild_catalog(project: str) -> dataset_records.RebuildResult:
    """Rebuild a project's catalog; raises as `DatasetTransfer.rebuild`."""
    with _open_transfer(project, quiet=True, writing=True, whole=True) as transfer:
        return transfer.rebuild()


def list_files(dataset: str) -> ListingTable:
    """Return the files of a dataset."""
    with _open_transfer(dataset, quiet=True, writing=False) as transfer:
        manifest = transfer.manifest()
    table = [(format_size(one.size), one.sha256[:12], one.path) for one in manifest.files]
    return ListingTable(table, manifest.to_json())


def describe_rebuild(project: str, made: dataset_records.RebuildResult) -> str:
    """Return a sentence or two about the result of `rebuild_catalog`."""
    written, removed, damaged = len(made.written), len(made.removed), made.unread
    if not written and not removed and not damaged:
        return f"The catalog of {project} was right: {_count_records(made.kept)}."
    parts = []
    if written:
        parts.append(
            f"{_count_records(written)} written anew ({', '.join(made.written[:_MOST_NAMES])}"
            f"{', …' if written > _MOST_NAMES else ''})"
        )
    if removed:
        parts.append(f"{_count_records(removed)} removed that had no dataset")
    parts.append(f"{_count_records(made.kept)} right already")
    if damaged:
        parts.append(f"{damaged} not looked at, since the manifest cannot be read")
    return f"The catalog of {project} is made anew: {', '.join(parts)}."


def describe_result(outcome: TransferResult, verb: str) -> str:
    """Return a sentence or two about the result of a transfer."""
    moved = f"{outcome.moved_files} of {outcome.files} files {verb}"
    there = outcome.files - outcome.moved_files
    parts = [f"{moved} ({format_size(outcome.moved_size)} of {format_size(outcome.size)})"]
    if there:
        parts.append(f"{there} were there already")
    text = ", ".join(parts) + "."
    if outcome.sha256 is not None:
        text += f" {outcome.dataset} is complete: {outcome.format}, sha256 {outcome.sha256}."
    return text


@contextmanager
def _open_transfer(
    text: str, *, quiet: bool, writing: bool, whole: bool = False
) -> Iterator[DatasetTransfer]:
    """Open a transfer for a dataset, or for a whole project."""
    name = DatasetName.parse(text)
    if whole and name.dataset:
        raise WrongNameError(f"{text!r} is a dataset; write the project alone: {name.project}")
    if writing and not whole and not name.dataset:
        raise WrongNameError(f"{text!r} names no dataset; write {text}/NAME-OF-THE-DATASET")
    progress = TransferProgress()
    retry_policy = RetryPolicy(note=progress.wait)
    with open_connection(name.project, writing=writing) as connection:
        transfer = DatasetTransfer(connection, name, progress, retry_policy)
        try:
            with show_progress(progress, quiet=quiet):
                yield transfer
        finally:
            transfer.close()


def _format_title(record: DatasetRecord) -> str:
    if not record.asks_to_wait(datetime.now(UTC).date()):
        return record.title
    return f"{record.title} (author asks to wait until {record.asks_to_wait_until})".lstrip()


def _count_records(count: int) -> str:
    return _format_count(count, "record")


def _format_count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
