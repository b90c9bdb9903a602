"""A whole dataset into the store, or out of it, with what says that all of it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from panneuro_hub.catalog import (
    FileRow,
    Format,
    MalformedRecordError,
    Manifest,
    UploadNote,
    dataset_records,
    make_upload_key,
)
from panneuro_hub.catalog.dataset_keys import RECORDS_FOLDER, list_enclosing_names
from panneuro_hub.catalog.formats import DatasetFormat, recognize_format
from panneuro_hub.catalog.json_fields import find_text_problem
from panneuro_hub.catalog.validators import validate_dataset
from panneuro_hub.client.connection import StoreConnection
from panneuro_hub.client.dataset_names import (
    DatasetName,
    find_project_prefix,
    list_frozen_grants,
    require_write,
)
from panneuro_hub.client.excluded_files import (
    ExcludedFile,
    InclusionPatterns,
    group_excluded_files,
    summarize_excluded_files,
)
from panneuro_hub.client.local_files import (
    FolderContents,
    find_lookalikes,
    make_range_reader,
    scan_folder,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.secret_scan import SecretFinding, scan_files
from panneuro_hub.client.transfer.download import FileDownloader
from panneuro_hub.client.transfer.engine_errors import ENGINE_ERRORS
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.prefix_objects import PrefixObjects
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer.publication import (
    LONGEST_REPLACING,
    ManifestPublication,
    UploadedFiles,
    describe_author,
)
from panneuro_hub.client.transfer.upload import FileUploader, UploadResult
from panneuro_hub.client.transfer_errors import (
    FileConflictError,
    IncompleteDatasetError,
    LocalFileError,
    SecretsFoundError,
    StoreError,
    UnfinishedTransferError,
)
from panneuro_hub.errors import AccessDeniedError, PanNeuroError
from panneuro_hub.names import StorageLocation
from panneuro_hub.wording import denied_for

T = TypeVar("T")

_READMES = ("README", "README.md", "README.rst", "README.txt")
_LONGEST_README = 100_000  # characters
_MOST_NAMES = 5  # files
_NO_SHA256 = "0" * 64


@dataclass(frozen=True)
class DatasetDescription:
    """The description of a dataset that a person gives; `None` for omitted fields."""

    title: str | None = None
    description: str | None = None
    citation: str | None = None
    license: str | None = None

    def given(self) -> dict[str, Any]:
        """Return the given fields, by the manifest's names."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class TransferResult:
    """The result of a transfer.

    Parameters
    ----------
    dataset : str
        With its project.
    uri : str
        Where it lies.
    files, size : int
        In all, in bytes.
    moved_files, moved_size : int
        What went over the wire; of a dry run, what would.
    format : str
    sha256 : str or None
        The dataset's digest; `None` where it did not become complete.
    findings : tuple of str
        What the format's validator says.
    notes : tuple of str
    left_out : tuple of ExcludedFile
        Files and folders of tools, which an upload does not send.
    secrets : tuple of SecretFinding
        What looks like a secret in the files.
    """

    dataset: str
    uri: str
    files: int
    size: int
    moved_files: int
    moved_size: int
    format: str
    sha256: str | None
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[ExcludedFile, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        return {
            **vars(self),
            "left_out": group_excluded_files(self.left_out),
            "secrets": [vars(finding) for finding in self.secrets],
        }


class DatasetTransfer:
    """One dataset, and the connection through which it is reached.

    Parameters
    ----------
    connection : StoreConnection
    name : DatasetName
    progress : TransferProgress
    retry_policy : RetryPolicy

    Raises
    ------
    AccessDeniedError
        If the project cannot be read.
    """

    def __init__(
        self,
        connection: StoreConnection,
        name: DatasetName,
        progress: TransferProgress,
        retry_policy: RetryPolicy,
    ) -> None:
        self.name = name
        self._view = connection.view
        self._progress = progress
        self._retry_policy = retry_policy
        self._project = find_project_prefix(connection.view, name.project)
        self.place = StorageLocation(
            self._project.bucket, f"{self._project.key}{name.dataset}/".replace("//", "/")
        )
        self._keys = connection.keys
        self._objects = PrefixObjects(connection.view, connection.keys, self._project)
        self._publication = ManifestPublication(
            self._objects, name.dataset, str(name), connection.view.user, retry_policy
        )
        self._note: UploadNote | None = None
        self._other: UploadNote | None = None
        self._replacing = False

    def close(self) -> None:
        """Close all connections."""
        self._objects.close()

    def upload(
        self,
        source: Path,
        said: DatasetDescription,
        *,
        update: bool,
        dry: bool = False,
        checked: bool = True,
        include: InclusionPatterns | None = None,
        allow_secrets: bool = False,
    ) -> TransferResult:
        """Send a folder, or a file, and make the dataset complete.

        Parameters
        ----------
        source : Path
        said : DatasetDescription
        update : bool
            Whether what is there is replaced or added to; nothing is removed.
        dry : bool
            Only find out what would be done.
        checked : bool
            Whether the format's validator is asked.
        include : InclusionPatterns, optional
            Files of tools that are sent as well.
        allow_secrets : bool
            Whether what looks like a secret is sent.

        Raises
        ------
        AccessDeniedError
            If nothing can be written there, with the reason.
        Conflict, FileProblem, Unfinished
            If the dataset did not become complete.
        MalformedRecordError
            If no manifest can hold it, before anything is sent.
        SecretsFoundError
            If something looks like a secret, before anything is sent.
        StoreError
            If the store refuses.
        """
        self._may_write()
        found = self._found(source, include or InclusionPatterns())
        secrets = tuple(scan_files(found.files))
        if secrets and not allow_secrets and not dry:
            raise SecretsFoundError(secrets)
        root = source if source.is_dir() else source.parent
        sizes = {file.path: file.size for file in found.files}
        known = recognize_format(sizes, make_range_reader(found))
        others = [one.path for one in found.left_out]
        judged = validate_dataset(source, known.format, left_out=others) if checked else ()
        findings = tuple(str(one) for one in judged)
        self._replacing = False
        before: Manifest | None = None
        try:
            before = self._before(found, update)
            self._check_limits(
                found, before, update, known, _choose_metadata(root, known, said, before)
            )
            sent, uploader = self._send(found, before, update=update, dry=dry)
            with self._keys.hold_credential():
                if sent.staged:
                    self._put_in_place(uploader, sent, before)
                manifest = None if dry else self._publish(sent, before, update, known, root, said)
        except (StoreError, AccessDeniedError) as failure:
            refused = isinstance(failure, AccessDeniedError) or failure.kind == "denied"
            if refused and before is not None and self._note and not self._replacing:
                self._withdraw()
            if self._replacing:
                raise self._half_replaced(failure) from failure
            raise (
                self._explain_failure(failure) if isinstance(failure, StoreError) else failure
            ) from failure
        return TransferResult(
            dataset=str(self.name),
            uri=self.place.uri,
            files=len(found.files),
            size=found.size,
            moved_files=self._progress.moved_files,
            moved_size=self._progress.moved,
            format=known.format,
            sha256=manifest.sha256 if manifest else None,
            findings=findings,
            notes=(*known.notes, *_note_empty_folders(found), *_note_lookalikes(found)),
            left_out=tuple(found.left_out),
            secrets=secrets,
        )

    def download(self, target: Path, *, update: bool) -> TransferResult:
        """Fetch all of it into a folder.

        Raises
        ------
        IncompleteDatasetError
            If there is no such dataset, or its upload is under way.
        Conflict, FileProblem, Unfinished
            If not all of it could be fetched.
        StoreError
            If the store refuses.
        """
        manifest = self.manifest()
        downloader = FileDownloader(
            self._objects,
            f"{self.name.dataset}/",
            target.absolute(),
            replace=update,
            progress=self._progress,
            retry_policy=self._retry_policy,
        )
        self._progress.expect(len(manifest.files), manifest.size)
        problems = downloader.check(manifest.files)
        if problems:
            raise UnfinishedTransferError("nothing was fetched:", problems)
        problems = downloader.fetch(manifest.files)
        if problems:
            raise UnfinishedTransferError(
                f"{len(problems)} of {len(manifest.files)} files could not be fetched:", problems
            )
        return TransferResult(
            dataset=str(self.name),
            uri=self.place.uri,
            files=len(manifest.files),
            size=manifest.size,
            moved_files=self._progress.moved_files,
            moved_size=self._progress.moved,
            format=manifest.format,
            sha256=manifest.sha256,
        )

    def manifest(self) -> Manifest:
        """Return the manifest of the dataset.

        Raises
        ------
        IncompleteDatasetError
            If there is no such dataset, or its upload is under way.
        """
        dataset = self.name.dataset
        manifest = self._ask(lambda: dataset_records.read_manifest(self._objects.store, dataset))
        note = self._ask(lambda: dataset_records.read_upload(self._objects.store, dataset))
        if note is not None:
            raise IncompleteDatasetError(
                f"{self.name} is not complete: {note.by} began to upload it on "
                f"{note.began:%Y-%m-%d at %H:%M} UTC, and has not finished"
            )
        if manifest is not None and manifest.changing:
            raise IncompleteDatasetError(
                f"{self.name} is half replaced: "
                f"{dataset_records.describe_changes(manifest.changing)}"
            )
        if manifest is None:
            raise IncompleteDatasetError(
                f"there is no dataset {self.name}; panneuro ls {self.name.project} says which "
                "there are"
            )
        return manifest

    def catalog(self) -> dataset_records.CatalogListing:
        """All datasets of the project."""
        return self._ask(lambda: dataset_records.list_catalog(self._objects.store))

    def rebuild(self) -> dataset_records.RebuildResult:
        """Make the project's catalog anew from the manifests.

        Raises
        ------
        AccessDeniedError
            If nothing can be written there, with the reason.
        StoreError
            If the store refuses.
        """
        self._may_write()
        try:
            return self._ask(lambda: dataset_records.rebuild_catalog(self._objects.store))
        except StoreError as failure:
            raise self._explain_failure(failure) from failure

    def _may_write(self) -> None:
        require_write(self._view, self.place, str(self.name))

    def _explain_failure(self, failure: StoreError) -> Exception:
        if failure.kind != "denied":
            return failure
        return AccessDeniedError(
            f"{failure}, though this session may write there; its rights may have changed just "
            "now, or the store's own policy is narrower"
        )

    def _found(self, source: Path, include: InclusionPatterns) -> FolderContents:
        found = scan_folder(source, f"{self._project.key}{self.name.dataset}/", include)
        for grant in list_frozen_grants(self._view, self.place):
            below = grant.prefix.removeprefix(self.place.uri)
            shut = [file.path for file in found.files if file.path.startswith(below)]
            if shut:
                raise denied_for(grant.reasons, f"{format_path(shut[0])} cannot be written")
        if found.problems:
            raise UnfinishedTransferError(
                "nothing was sent, since these cannot be:", found.problems
            )
        left_out = summarize_excluded_files(found.left_out)
        if not found.files:
            because = f" to send; {left_out}" if left_out else " in it"
            raise LocalFileError(f"{format_path(str(source))}: there is no file{because}")
        if left_out:
            self._progress.tell(left_out)
        for pattern in include.unused(found.included_again):
            self._progress.tell(f"--include {pattern} matches nothing that is left out")
        self._progress.expect(len(found.files), found.size)
        return found

    def _before(self, found: FolderContents, update: bool) -> Manifest | None:
        """The dataset as it is now, if it is complete."""
        store = self._objects.store
        for outer in list_enclosing_names(self.name.dataset):
            inside = outer != self.name.dataset
            if inside and self._ask(partial(dataset_records.read_manifest, store, outer)):
                raise FileConflictError(
                    f"{self.name} would lie inside the dataset {outer}; choose another name"
                )
        try:
            before = self._ask(lambda: dataset_records.read_manifest(store, self.name.dataset))
        except MalformedRecordError as problem:
            if update:
                return None
            raise FileConflictError(f"{self.name}: {problem}; --update replaces it") from problem
        if before is not None and not update:
            known = {file.path for file in before.files}
            new = [file.path for file in found.files if file.path not in known]
            if new:
                raise FileConflictError(
                    f"{self.name} is complete, and {format_path(new[0])} is not in it; "
                    "--update adds "
                    f"what is new ({len(new)} files)"
                )
        return before

    def _put_in_place(
        self, uploader: FileUploader, sent: UploadResult, before: Manifest | None
    ) -> None:
        """Replace the objects of changed files, after the manifest says which those are."""
        self._publication.announce(before, [staged.file for staged in sent.staged])
        self._replacing = True
        uploader.replace(LONGEST_REPLACING.total_seconds())

    def _half_replaced(self, failure: Exception) -> Exception:
        """Return the error for an update that ended while it was replacing files."""
        try:
            stored = dataset_records.read_stored_manifest(self._objects.store, self.name.dataset)
        except ENGINE_ERRORS:
            stored = None
        changing = stored.manifest.changing if stored and stored.manifest else ()
        if not changing:
            return failure
        return UnfinishedTransferError(
            f"{failure}\n{self.name} is half replaced, and its manifest says so; each of these "
            "files is the old or the new one, until the same command ends well:",
            [FileConflictError(format_path(one.file.path)) for one in changing],
        )

    def _withdraw(self) -> None:
        """Remove the note of an update that has replaced nothing: the dataset is as it was."""
        with suppress(*ENGINE_ERRORS, PanNeuroError):
            self._objects.store.delete(make_upload_key(self.name.dataset))

    def _send(
        self, found: FolderContents, before: Manifest | None, *, update: bool, dry: bool
    ) -> tuple[UploadResult, FileUploader]:
        uploader = FileUploader(
            self._objects,
            f"{self.name.dataset}/",
            replace=update,
            progress=self._progress,
            retry_policy=self._retry_policy,
            dry=dry,
        )
        there = uploader.look()
        foreign = [path for path in there if not path.startswith(f"{RECORDS_FOLDER}/")]
        conflicts = uploader.conflicts(found.files)
        if conflicts:
            raise UnfinishedTransferError("nothing was sent:", conflicts)
        if not dry and (before is None or update):
            self._begin(found)
        sent = uploader.send(found.files)
        if sent.problems:
            raise UnfinishedTransferError(
                self._check_all_sent(found, sent.problems, before, update), sent.problems
            )
        self._warn_of_others(foreign, found, before)
        return sent, uploader

    def _check_all_sent(
        self,
        found: FolderContents,
        problems: list[PanNeuroError],
        before: Manifest | None,
        update: bool,
    ) -> str:
        if before is not None and not update:
            return f"{self.name} is complete, and stays as it is:"
        there = len(found.files) - len(problems)
        return (
            f"{self.name} is not complete; {there} of {len(found.files)} files are there, and are "
            f"not sent again{self._describe_other_upload()}. These are not:"
        )

    def _describe_other_upload(self) -> str:
        """Return the words for another upload into the dataset; ``""`` if none is known."""
        store, dataset = self._objects.store, self.name.dataset
        note, stored = self._other, None
        with suppress(*ENGINE_ERRORS, PanNeuroError):
            now = dataset_records.read_upload(store, dataset)
            note = note if now is None or now == self._note else now
            stored = dataset_records.read_stored_manifest(store, dataset)
        if note is not None:
            return (
                f" ({note.by} began another upload into it on {note.began:%Y-%m-%d at %H:%M:%S} "
                "UTC)"
            )
        if stored is not None and stored.manifest is not None:
            return f" (it became complete meanwhile, by {describe_author(stored.manifest)})"
        return ""

    def _begin(self, found: FolderContents) -> None:
        dataset = self.name.dataset
        note = self._ask(lambda: dataset_records.read_upload(self._objects.store, dataset))
        if note is not None and note.by != self._view.user:
            self._progress.tell(
                f"{note.by} began to upload {self.name} on {note.began:%Y-%m-%d at %H:%M} UTC and "
                "has not finished; this goes on with it"
            )
        upload = UploadNote(
            dataset=dataset,
            by=self._view.user,
            began=datetime.now(UTC),
            files_count=len(found.files),
            size=found.size,
        )
        self._ask(lambda: dataset_records.begin_upload(self._objects.store, upload))
        self._note, self._other = upload, note
        self._publication.conditional = self._ask(
            lambda: dataset_records.check_conditional_writes(self._objects.store, upload)
        )

    def _warn_of_others(
        self, there: list[str], found: FolderContents, before: Manifest | None
    ) -> None:
        known = {file.path for file in found.files}
        if before is not None:
            known.update(file.path for file in before.files)
        others = [path for path in there if path not in known]
        if others:
            self._progress.tell(
                f"{len(others)} objects lie there that are not of this dataset, such as "
                f"{format_path(others[0])}"
            )

    def _publish(
        self,
        sent: UploadResult,
        before: Manifest | None,
        update: bool,
        known: DatasetFormat,
        root: Path,
        said: DatasetDescription,
    ) -> Manifest:
        """Say that the dataset is complete, as it now is."""
        store = self._objects.store
        if before is not None and not update:
            if replace(before, **said.given()) != before:
                raise FileConflictError(
                    f"{self.name} is complete, and other things are said of it now; --update "
                    "changes it"
                )
            note = self._ask(lambda: dataset_records.read_upload(store, self.name.dataset))
            if note is None and not before.changing:
                self._publication.check(before)
                return before

        def make(files: Sequence[FileRow], there: Manifest | None) -> Manifest:
            if there is not None and not update:
                self._agree(said, there)
                if set(files) <= set(there.files):
                    return there
            words = _choose_metadata(root, known, said, there)
            return self._manifest(files, there, known, words, together=there != before)

        uploaded = UploadedFiles(tuple(sent.files), sent.etags)
        return self._publication.publish(uploaded, make, update=update, note=self._note)

    def _agree(self, said: DatasetDescription, there: Manifest) -> None:
        """Refuse to say something else than another upload that was published meanwhile."""
        if replace(there, **said.given()) != there:
            raise FileConflictError(
                f"{self.name} became complete meanwhile, by {describe_author(there)}, which "
                "says other "
                "things of it; the files are there, so give the same command with --update to "
                "add them and to change what is said"
            )

    def _check_limits(
        self,
        found: FolderContents,
        before: Manifest | None,
        update: bool,
        known: DatasetFormat,
        words: Mapping[str, Any],
    ) -> None:
        """Make the manifest that would be published, to find out whether there can be one."""
        if before is not None and not update:
            return  # it stays as it is
        files = [FileRow(file.path, file.size, _NO_SHA256) for file in found.files]
        manifest = self._manifest(files, before, known, words)
        problem = dataset_records.find_size_problem(manifest)
        if problem is not None:
            raise MalformedRecordError(f"{self.name}: {problem}")

    def _manifest(
        self,
        sent: Sequence[FileRow],
        before: Manifest | None,
        known: DatasetFormat,
        words: Mapping[str, Any],
        *,
        together: bool = False,
    ) -> Manifest:
        new = {file.path for file in sent}
        kept = tuple(file for file in before.files if file.path not in new) if before else ()
        if before is not None and kept:
            # A piece of a dataset does not tell what the whole is.
            known = DatasetFormat(
                join_formats(before.format, known.format) if together else before.format,
                tuple(sorted({*before.subjects, *known.subjects})),
                tuple(sorted({*before.modalities, *known.modalities})),
            )
        return Manifest(
            dataset=self.name.dataset,
            project=self.name.project,
            format=known.format,
            created=datetime.now(UTC),
            created_by=self._view.user,
            files=(*sent, *kept),
            subjects=known.subjects,
            modalities=known.modalities,
            **words,
        )

    def _ask(self, call: Callable[[], T]) -> T:
        guarded = partial(self._objects.guarded, f"the catalog of {self.name.project}", call)
        return self._retry_policy.call_with_retries(guarded)


def join_formats(one: Format, other: Format) -> Format:
    """Return the format of a dataset that two uploads brought together."""
    formats: tuple[Format, ...] = ("bids", "nwb")
    return next((known for known in formats if known in (one, other)), "files")


def _choose_metadata(
    root: Path, known: DatasetFormat, said: DatasetDescription, before: Manifest | None
) -> dict[str, Any]:
    """Return metadata from the person, from the dataset itself, or from its last version."""
    words: dict[str, Any] = {}
    if before is not None:
        kept = ("readme", "asks_to_wait_until", *vars(DatasetDescription()))
        words = {name: getattr(before, name) for name in kept}
    own = _read_bids_description(root) if known.format == "bids" else {}
    return {**words, **own, **_find_readme(root), **said.given()}


def _find_readme(root: Path) -> dict[str, str]:
    for name in _READMES:
        try:
            text = (root / name).read_text("utf-8")
        except (OSError, ValueError):
            continue
        if find_text_problem(text, _LONGEST_README, lines=True) is None:
            return {"readme": text}
    return {}


def _read_bids_description(root: Path) -> dict[str, str]:
    """Return the metadata in ``dataset_description.json``.

    Source: Brain Imaging Data Structure, "Modality agnostic files".
    """
    try:
        described = json.loads((root / "dataset_description.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    named = {"title": "Name", "license": "License", "citation": "HowToAcknowledge"}
    return {
        name: described[key]
        for name, key in named.items()
        if isinstance(described, dict)
        and isinstance(described.get(key), str)
        and find_text_problem(described[key], 500, lines=False) is None
    }


def _note_empty_folders(found: FolderContents) -> tuple[str, ...]:
    if not found.empty_folders:
        return ()
    count, first = len(found.empty_folders), format_path(found.empty_folders[0])
    if count == 1:
        return (f"the empty folder {first} is not kept",)
    return (f"{count} empty folders are not kept, such as {first}",)


def _note_lookalikes(found: FolderContents) -> tuple[str, ...]:
    pairs = find_lookalikes(found.files)
    return tuple(
        f"{format_path(one)} and {format_path(other)} are one name on most disks of macOS "
        "and Windows; only "
        "one of them can be fetched there"
        for one, other in pairs[:_MOST_NAMES]
    ) + ((f"and {len(pairs) - _MOST_NAMES} more such names",) if len(pairs) > _MOST_NAMES else ())
