"""What the commands do, apart from speaking to a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panneuro_hub.client.account import Login
from panneuro_hub.client.connection import connected, in_session
from panneuro_hub.client.crew import Patience
from panneuro_hub.client.dataset import Outcome, Said, Transfer
from panneuro_hub.client.errors import WrongName
from panneuro_hub.client.places import Name
from panneuro_hub.client.progress import Progress, shown, size_text
from panneuro_hub.lab import here
from panneuro_hub.wire.credential import format_time


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
    quiet: bool = True,
) -> Outcome:
    """Send a folder or a file; raises as `Transfer.upload`."""
    with _transfer(dataset, quiet=quiet, writing=True) as transfer:
        return transfer.upload(path, said, update=update, dry=dry, checked=checked)


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
    with _transfer(project, quiet=True, writing=False) as transfer:
        catalog = transfer.catalog()
    under_way = {upload.dataset for upload in catalog.uploads}
    table: list[tuple[str, ...]] = [
        (
            record.dataset,
            "being changed" if record.dataset in under_way else record.format,
            size_text(record.size),
            f"{record.files_count} files",
            f"{record.created:%Y-%m-%d}",
            record.created_by,
            record.title,
        )
        for record in catalog.records
    ]
    complete = {record.dataset for record in catalog.records}
    table += [
        (
            upload.dataset,
            "not complete",
            size_text(upload.size),
            f"{upload.files_count} files",
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
    }
    return Listed(sorted(table), document, tuple(str(one) for one in catalog.troubles))


def files(dataset: str) -> Listed:
    """The files of a dataset."""
    with _transfer(dataset, quiet=True, writing=False) as transfer:
        manifest = transfer.manifest()
    table = [(size_text(one.size), one.sha256[:12], one.path) for one in manifest.files]
    return Listed(table, manifest.to_json())


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
def _transfer(text: str, *, quiet: bool, writing: bool) -> Iterator[Transfer]:
    name = Name.parse(text)
    if writing and not name.dataset:
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
