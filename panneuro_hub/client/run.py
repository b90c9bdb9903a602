"""What the commands do, apart from speaking to a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from panneuro_hub.catalog import Record, records
from panneuro_hub.catalog.words import size_text
from panneuro_hub.client.account import Login
from panneuro_hub.client.connection import connected, in_session
from panneuro_hub.client.crew import Patience
from panneuro_hub.client.dataset import Outcome, Said, Transfer
from panneuro_hub.client.errors import WrongName
from panneuro_hub.client.left_out import Inclusion
from panneuro_hub.client.places import Name
from panneuro_hub.client.progress import Progress, shown
from panneuro_hub.errors import AccessDenied
from panneuro_hub.lab import here
from panneuro_hub.wire.credential import format_time

T = TypeVar("T")

_NAMED = 5  # datasets


@dataclass(frozen=True)
class Listed:
    """A listing, for people and for programs."""

    table: Sequence[tuple[str, ...]]
    document: Any
    troubles: tuple[str, ...] = ()


def upload(
    path: Path,
    dataset: str,
    said: Said,
    *,
    update: bool = False,
    dry: bool = False,
    checked: bool = True,
    include: Sequence[str] = (),
    allow_secrets: bool = False,
    quiet: bool = True,
) -> Outcome:
    """Send a folder or a file; raises as `Transfer.upload`, and `WrongName` for `include`."""
    wanted = Inclusion(tuple(include))
    with _transfer(dataset, quiet=quiet, writing=True) as transfer:
        return transfer.upload(
            path,
            said,
            update=update,
            dry=dry,
            checked=checked,
            include=wanted,
            allow_secrets=allow_secrets,
        )


def download(dataset: str, path: Path, *, update: bool = False, quiet: bool = True) -> Outcome:
    """Fetch a dataset; raises as `Transfer.download`."""
    with _transfer(dataset, quiet=quiet, writing=False) as transfer:
        return transfer.download(path, update=update)


def projects() -> Listed:
    """The projects that the person may read."""
    if in_session():
        view = here.session()
        found = dict.fromkeys(view.prefixes, "read")
        if view.level is not None:
            found[view.project] = view.level
        titles = {view.project: view.title}
    else:
        answer = Login.read().call("GET", "/api/login").get("projects", {})
        found = {name: str(one["level"]) for name, one in answer.items() if one.get("level")}
        titles = {name: str(one.get("title", "")) for name, one in answer.items()}
    table = [(name, level, titles.get(name, "")) for name, level in sorted(found.items())]
    document = [{"project": name, "level": level, "title": title} for name, level, title in table]
    return Listed(table, document)


def datasets(project: str) -> Listed:
    """The datasets of a project, the unfinished ones too."""
    with _transfer(project, quiet=True, writing=False, whole=True) as transfer:
        catalog = transfer.catalog()
    under_way = {upload.dataset for upload in catalog.uploads}
    table: list[tuple[str, ...]] = [
        (
            record.dataset,
            "being changed" if record.dataset in under_way else record.format,
            size_text(record.size),
            _count(record.files_count, "file"),
            f"{record.created:%Y-%m-%d}",
            record.created_by,
            _title(record),
        )
        for record in catalog.records
    ]
    complete = {record.dataset for record in catalog.records}
    table += [
        (
            upload.dataset,
            "not complete",
            size_text(upload.size),
            _count(upload.files_count, "file"),
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
        "troubles": [{"key": one.key, "reason": one.reason} for one in catalog.troubles],
    }
    return Listed(sorted(table), document, tuple(str(one) for one in catalog.troubles))


def all_datasets() -> Listed:
    """The datasets of all projects that the person may read, named with their projects."""
    each, troubles = of_all(datasets)
    table: list[tuple[str, ...]] = []
    for name, listed in each.items():
        table += [(f"{name}/{dataset}", *others) for dataset, *others in listed.table]
        troubles += [f"{name}: {trouble}" for trouble in listed.troubles]
    return Listed(table, [listed.document for listed in each.values()], tuple(troubles))


def of_all(one: Callable[[str], T]) -> tuple[dict[str, T], list[str]]:
    """What `one` says of every project that the person may read, and whose access has ended."""
    found: dict[str, T] = {}
    ended = []
    for name, *_ in projects().table:
        try:
            found[name] = one(name)
        except AccessDenied as refusal:
            # Between the two questions.
            ended.append(str(refusal))
    return found, ended


def rebuild(project: str) -> records.Rebuilt:
    """Make a project's catalog anew; raises as `Transfer.rebuild`."""
    with _transfer(project, quiet=True, writing=True, whole=True) as transfer:
        return transfer.rebuild()


def files(dataset: str) -> Listed:
    """The files of a dataset."""
    with _transfer(dataset, quiet=True, writing=False) as transfer:
        manifest = transfer.manifest()
    table = [(size_text(one.size), one.sha256[:12], one.path) for one in manifest.files]
    return Listed(table, manifest.to_json())


def rebuilt_in_words(project: str, made: records.Rebuilt) -> str:
    """What `rebuild` did, in a sentence or two."""
    written, removed, damaged = len(made.written), len(made.removed), made.unread
    if not written and not removed and not damaged:
        return f"The catalog of {project} was right: {_records(made.kept)}."
    parts = []
    if written:
        parts.append(
            f"{_records(written)} written anew ({', '.join(made.written[:_NAMED])}"
            f"{', …' if written > _NAMED else ''})"
        )
    if removed:
        parts.append(f"{_records(removed)} removed that had no dataset")
    parts.append(f"{_records(made.kept)} right already")
    if damaged:
        parts.append(f"{damaged} not looked at, since the manifest cannot be read")
    return f"The catalog of {project} is made anew: {', '.join(parts)}."


def said_of(outcome: Outcome, verb: str) -> str:
    """An outcome in a sentence or two."""
    moved = f"{outcome.moved_files} of {outcome.files} files {verb}"
    there = outcome.files - outcome.moved_files
    parts = [f"{moved} ({size_text(outcome.moved_size)} of {size_text(outcome.size)})"]
    if there:
        parts.append(f"{there} were there already")
    text = ", ".join(parts) + "."
    if outcome.sha256 is not None:
        text += f" {outcome.dataset} is complete: {outcome.format}, sha256 {outcome.sha256}."
    return text


@contextmanager
def _transfer(text: str, *, quiet: bool, writing: bool, whole: bool = False) -> Iterator[Transfer]:
    """A connection to a dataset, or to a whole project."""
    name = Name.parse(text)
    if whole and name.dataset:
        raise WrongName(f"{text!r} is a dataset; write the project alone: {name.project}")
    if writing and not whole and not name.dataset:
        raise WrongName(f"{text!r} names no dataset; write {text}/NAME-OF-THE-DATASET")
    progress = Progress()
    patience = Patience(note=progress.wait)
    with connected(name.project, writing=writing) as connection:
        transfer = Transfer(connection, name, progress, patience)
        try:
            with shown(progress, quiet=quiet):
                yield transfer
        finally:
            transfer.close()


def _title(record: Record) -> str:
    if not record.asks_to_wait(datetime.now(UTC).date()):
        return record.title
    return f"{record.title} (author asks to wait until {record.asks_to_wait_until})".lstrip()


def _records(count: int) -> str:
    return _count(count, "record")


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
