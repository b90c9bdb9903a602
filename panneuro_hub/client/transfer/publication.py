"""Publish an upload while others may publish theirs into the same dataset.

A manifest is written only over the version that was read. Where somebody else was
faster, it is read again, and both uploads' files are in what is written then.

Objects are replaced in place. Before the first one is, the manifest says which files
get which new content: at any time an object has the content that `Manifest.files` or
`Manifest.changing` says, also where the update breaks off in the middle. An update
does not begin to replace a file that another one is replacing with other content.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from panneuro_hub.catalog import FileRow, Manifest, UploadNote, dataset_records
from panneuro_hub.catalog.dataset_records import ManifestChangedError, StoredManifest
from panneuro_hub.catalog.manifest import FileReplacement
from panneuro_hub.catalog.stored_keys import StoredKey
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.prefix_objects import ObjectMetadata, PrefixObjects
from panneuro_hub.client.transfer_errors import FileConflictError, UnfinishedTransferError
from panneuro_hub.errors import PanNeuroError

T = TypeVar("T")

LONGEST_REPLACING = timedelta(minutes=10)
"""An update that replaces files for longer stops."""

_ABANDONED_AFTER = timedelta(minutes=15)
"""An update that has been replacing files for so long is not any more."""

_MAX_ROUNDS = 100
_LONGEST_PAUSE = 2.0  # seconds between two rounds
_SETTLE_SECONDS = 3.0  # seconds


@dataclass(frozen=True)
class UploadedFiles:
    """The uploaded files of an upload.

    Parameters
    ----------
    files : tuple of FileRow
    etags : mapping of str to str
        What the store called their objects, by path.
    """

    files: tuple[FileRow, ...]
    etags: Mapping[str, str]


class ManifestPublication:
    """The manifest of one dataset, as one upload writes it.

    Parameters
    ----------
    objects : PrefixObjects
    dataset : str
    name : str
        With its project, for sentences.
    user : str
        Whose upload it is.
    retry_policy : RetryPolicy
    """

    def __init__(
        self, objects: PrefixObjects, dataset: str, name: str, user: str, retry_policy: RetryPolicy
    ) -> None:
        self._objects = objects
        self._dataset = dataset
        self._name = name
        self._user = user
        self._retry_policy = retry_policy
        self._announced: set[FileReplacement] = set()
        self._superseded: set[FileReplacement] = set()
        self.conditional = True
        """Whether the store refuses a write whose condition does not hold."""

    def announce(self, before: Manifest | None, new: Sequence[FileRow]) -> None:
        """Say in the manifest which files get which content, before the first one does.

        Parameters
        ----------
        before : Manifest or None
            As it was when this upload began.
        new : sequence of FileRow

        Raises
        ------
        FileConflictError
            If another upload replaced one of them meanwhile, or is doing so.
        """
        since = datetime.now(UTC)
        mine = {FileReplacement(file, self._user, since) for file in new}
        paths = {file.path for file in new}
        for round_ in range(_MAX_ROUNDS):
            stored = self._read()
            if stored is None or stored.manifest is None:
                return  # Nobody believes in anything yet.
            there = stored.manifest
            refuse_rivals(self._name, there, before, new, since)
            others = set(there.changing) - mine
            self._announced = mine
            self._superseded = {one for one in others if one.file.path in paths}
            marked = replace(there, changing=tuple(others | mine))
            if self._write(marked, stored):
                return
            self._pause(round_)
        raise self._crowded()

    def publish(
        self,
        uploaded: UploadedFiles,
        make: Callable[[Sequence[FileRow], Manifest | None], Manifest],
        *,
        update: bool,
        note: UploadNote | None,
    ) -> Manifest:
        """Write the manifest with all that was uploaded, and with what others published.

        Parameters
        ----------
        uploaded : UploadedFiles
        make : callable
            Make the manifest of new files, and of the one that is there.
        update : bool
            Whether files that others published may be replaced.
        note : UploadNote or None
            The note to remove in the end, while it is the one that is there; any if `None`.

        Raises
        ------
        Conflict, Unfinished
            If others wrote the same files, or files are missing.
        """
        for round_ in range(_MAX_ROUNDS):
            stored = self._read()
            there = stored.manifest if stored else None
            objects = self._objects_of_dataset()
            mine, replaced = separate_replaced(uploaded, objects)
            if not update or there is None:
                self._refuse(replaced, there)
            if there is not None and not update:
                refuse_rivals(self._name, there, None, mine, None)
            manifest = self._with_changes(make(mine, there), there, mine)
            self._check_all_there(manifest, objects)
            if self._written(manifest, there) or self._write(manifest, stored):
                self._ask(
                    partial(dataset_records.finish_upload, self._objects.store, self._dataset, note)
                )
                if self.conditional or self._still_there(manifest):
                    self._refuse(replaced, there)
                    return manifest
            self._pause(round_)
        raise self._crowded()

    def check(self, manifest: Manifest) -> None:
        """Raise `UnfinishedTransferError` if files of a manifest are missing; it names them."""
        self._check_all_there(manifest, self._objects_of_dataset())

    def _with_changes(
        self, manifest: Manifest, there: Manifest | None, mine: Sequence[FileRow]
    ) -> Manifest:
        """Keep what others are replacing; what this upload announced is over.

        So is an announcement of others for an object that this upload has seen to be its
        own, if it has broken off, or if it was of the same content.
        """
        done = {file.path: file for file in mine}
        now = datetime.now(UTC)

        def is_over(one: FileReplacement) -> bool:
            if one in self._announced:
                return True
            return one.file.path in done and (
                one in self._superseded
                or one.file == done[one.file.path]
                or now - one.since > _ABANDONED_AFTER
            )

        changing = there.changing if there is not None else ()
        return replace(manifest, changing=tuple(one for one in changing if not is_over(one)))

    def _written(self, manifest: Manifest, there: Manifest | None) -> bool:
        """Return whether it is there: where the answer to a write was lost, it is."""
        return there is not None and replace(manifest, created=there.created) == there

    def _still_there(self, manifest: Manifest) -> bool:
        """Return whether nobody has overwritten the manifest without having seen it."""
        self._retry_policy.stop.wait(_SETTLE_SECONDS)
        stored = self._read()
        there = stored.manifest if stored else None
        return there is not None and set(manifest.files) <= set(there.files)

    def _check_all_there(self, manifest: Manifest, objects: Mapping[str, ObjectMetadata]) -> None:
        there = [StoredKey(path, meta.size, meta.etag) for path, meta in objects.items()]
        gone = dataset_records.list_missing_files(manifest, there)
        if gone:
            raise UnfinishedTransferError(
                f"{self._name} is not complete: {len(gone)} of its files are not in the store, or "
                "not as they were sent; somebody removed or replaced them. Send them again:",
                [FileConflictError(f"{format_path(path)}: it is not there") for path in gone],
            )

    def _refuse(self, replaced: Sequence[str], there: Manifest | None) -> None:
        if replaced:
            by = f" ({describe_author(there)})" if there is not None else ""
            raise UnfinishedTransferError(
                f"{self._name}: another upload{by} replaced these files while this one ran, and "
                "what it sent is what is there now:",
                [FileConflictError(format_path(path)) for path in replaced],
            )

    def _objects_of_dataset(self) -> dict[str, ObjectMetadata]:
        folder = f"{self._dataset}/"
        found = self._retry_policy.call_with_retries(partial(self._objects.list_objects, folder))
        return {path.removeprefix(folder): meta for path, meta in found.items()}

    def _read(self) -> StoredManifest | None:
        return self._ask(
            partial(dataset_records.read_stored_manifest, self._objects.store, self._dataset)
        )

    def _write(self, manifest: Manifest, stored: StoredManifest | None) -> bool:
        try:
            self._ask(
                partial(dataset_records.replace_manifest, self._objects.store, manifest, stored)
            )
        except ManifestChangedError:
            return False
        return True

    def _ask(self, call: Callable[[], T]) -> T:
        guarded = partial(self._objects.guarded, f"the manifest of {self._name}", call)
        return self._retry_policy.call_with_retries(guarded)

    def _pause(self, round_: int) -> None:
        # Not all who were refused come back at the same time.
        longest = min(0.05 * 2 ** min(round_, 10), _LONGEST_PAUSE)
        self._retry_policy.stop.wait(random.uniform(0, longest))  # noqa: S311 - no secret
        self._retry_policy.check()

    def _crowded(self) -> PanNeuroError:
        return FileConflictError(
            f"others write the manifest of {self._name} all the time; what was sent is there, so "
            "give the same command again"
        )


def separate_replaced(
    uploaded: UploadedFiles, objects: Mapping[str, ObjectMetadata]
) -> tuple[list[FileRow], list[str]]:
    """Return the files whose objects are this upload's, and the paths of the others.

    An object that has gone altogether is among the first: it is missing, not replaced.
    """
    mine: list[FileRow] = []
    replaced: list[str] = []
    for file in uploaded.files:
        known, there = uploaded.etags.get(file.path, ""), objects.get(file.path)
        if there is None or not known or not there.etag or there.etag == known:
            mine.append(file)
        else:
            replaced.append(file.path)
    return mine, sorted(replaced)


def refuse_rivals(
    name: str,
    there: Manifest,
    before: Manifest | None,
    new: Iterable[FileRow],
    now: datetime | None,
) -> None:
    """Refuse files that another upload has replaced since `before`, or is replacing.

    Parameters
    ----------
    now : datetime or None
        `None` if replacements that have not ended are nobody's business.

    Raises
    ------
    FileConflictError
        With whose upload that is, and since when.
    """
    known = {file.path: file for file in before.files} if before is not None else {}
    listed = {file.path: file for file in there.files}
    for file in new:
        other = listed.get(file.path)
        if other is not None and other not in (file, known.get(file.path)):
            raise FileConflictError(
                f"{name}: {format_path(file.path)} was published with other content meanwhile, by "
                f"{describe_author(there)}; nothing of it was replaced. Look at it, and "
                "give the same "
                "command with --update if yours is right"
            )
    if now is None:
        return
    wanted = {file.path: file for file in new}
    for rival in there.changing:
        file_ = wanted.get(rival.file.path)
        if file_ is None or file_ == rival.file or now - rival.since > _ABANDONED_AFTER:
            continue
        raise FileConflictError(
            f"{name}: {rival.by} began to replace {format_path(rival.file.path)} with other "
            "content on "
            f"{rival.since:%Y-%m-%d at %H:%M} UTC; nothing of it was replaced. Wait for that "
            "upload, or give the same command again after "
            f"{rival.since + _ABANDONED_AFTER:%H:%M} UTC "
            "if it broke off"
        )


def describe_author(manifest: Manifest) -> str:
    """Return whose upload a manifest is of, and when it ended."""
    return f"{manifest.created_by}'s upload of {manifest.created:%Y-%m-%d at %H:%M} UTC"
