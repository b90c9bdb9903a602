"""Sending a folder into a dataset: what is there already is not sent again.

Nothing is remembered on this machine. What has arrived is what the store says: an
object with the right size and checksum is there, and an upload in parts is continued
with those parts whose checksums are those of the file's own bytes.

The content that is on its way takes `pool.MAX_MEMORY` bytes (256 MiB) at most, or one part,
where that is more: 525 MiB for a file of 5 TiB.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from panneuro_hub.catalog import FileRow
from panneuro_hub.client.local_files import (
    LocalFile,
    find_change,
    make_conflict,
    open_unchanged,
    read_whole,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.multipart import UploadTools, digest_file, find_unfinished_upload
from panneuro_hub.client.transfer.part_plan import USUAL_PART, PartPlan, plan_parts
from panneuro_hub.client.transfer.pool import RetryPolicy, TransferPool
from panneuro_hub.client.transfer.prefix_objects import (
    ObjectMetadata,
    PrefixObjects,
    digest_data,
    has_same_content,
)
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer_errors import FileConflictError, LocalFileError, StoreError
from panneuro_hub.errors import PanNeuroError

T = TypeVar("T")


@dataclass
class UploadResult:
    """The result of an upload.

    Parameters
    ----------
    files : list of FileRow
        That are there, whole; none where nothing was to be sent.
    problems : list of PanNeuroError
        Of the others.
    staged : list of StagedObject
        Sent and not yet in place, since another object is there.
    etags : dict of str to str
        What the store calls the objects of `files`, by path.
    """

    files: list[FileRow] = field(default_factory=list)
    problems: list[PanNeuroError] = field(default_factory=list)
    staged: list[StagedObject] = field(default_factory=list)
    etags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StagedObject:
    """New content of an object that is there, on the store's side and not yet in its place.

    Parameters
    ----------
    file : FileRow
    finish : callable
        Put it in place; gives its ETag.
    is_there : callable
        Say of an object whether it has this content.
    """

    file: FileRow
    finish: Callable[[], str]
    is_there: Callable[[ObjectMetadata], bool]


class FileUploader:
    """Sends files below one place of the store.

    Parameters
    ----------
    objects : PrefixObjects
    folder : str
        Of the dataset, seen from the objects' root; ends in ``/``.
    replace : bool
        Whether an object with other content is replaced.
    progress : TransferProgress
    retry_policy : RetryPolicy
    dry : bool
        Only find out what would be sent.
    """

    def __init__(
        self,
        objects: PrefixObjects,
        folder: str,
        *,
        replace: bool,
        progress: TransferProgress,
        retry_policy: RetryPolicy,
        dry: bool = False,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._replace = replace
        self._progress = progress
        self._retry_policy = retry_policy
        self._dry = dry
        self._work = UploadTools(objects, TransferPool(retry_policy.stop), retry_policy, progress)
        self._there: dict[str, ObjectMetadata] = {}
        self._unfinished: dict[str, list[str]] = {}
        self._sent = UploadResult()
        self._lock = threading.Lock()

    def look(self) -> dict[str, ObjectMetadata]:
        """See what is there already; gives it, by the path in the dataset."""
        # This first: with botocore we hear the store's clock, should ours be wrong.
        unfinished = self._try(partial(self._objects.list_unfinished, self._folder))
        there = self._try(partial(self._objects.list_objects, self._folder))
        self._unfinished = {key.removeprefix(self._folder): ids for key, ids in unfinished.items()}
        self._there = {key.removeprefix(self._folder): meta for key, meta in there.items()}
        return self._there

    def conflicts(self, files: list[LocalFile]) -> list[FileConflictError]:
        """Files in whose place something else is, as the sizes say already."""
        if self._replace:
            return []
        return [
            make_conflict(file.path)
            for file in files
            if file.path in self._there and self._there[file.path].size != file.size
        ]

    def send(self, files: list[LocalFile]) -> UploadResult:
        """Send what is not there; `look` comes before.

        Raises
        ------
        AccessDeniedError, StoreError
            Where it concerns all files.
        """
        with self._work.pool.wait_for_jobs() as pool:
            for file in files:
                if file.size > USUAL_PART:
                    pool.large(partial(self._large, file))
            for file in files:
                if file.size <= USUAL_PART:
                    pool.small(file.size, partial(self._small, file))
        self._sent.problems = pool.problems or self._changed_since(files)
        return self._sent

    def replace(self, seconds: float) -> None:
        """Put what is staged in place.

        Parameters
        ----------
        seconds : float
            Nothing more is put in place after so long.

        Raises
        ------
        AccessDeniedError, StoreError
            If not all of it could be.
        """
        until = time.monotonic() + seconds
        with TransferPool(self._retry_policy.stop).wait_for_jobs() as pool:
            for staged in self._sent.staged:
                pool.small(0, partial(self._finish, staged, until))

    def _finish(self, staged: StagedObject, until: float) -> None:
        if time.monotonic() > until:
            raise StoreError("other", "it took too long to replace the files")
        path = staged.file.path
        try:
            etag = self._try(staged.finish)
        except StoreError as failure:
            if failure.kind != "missing":
                raise
            # Done, where the answer to a request was lost and it was sent again.
            there = self._try(partial(self._objects.look, self._folder + path))
            if there is None or not staged.is_there(there):
                raise
            etag = there.etag
        with self._lock:
            self._sent.files.append(staged.file)
            self._sent.etags[path] = etag

    def _changed_since(self, files: list[LocalFile]) -> list[PanNeuroError]:
        """Files that were sent whole, and are others by now."""
        return [problem for file in files if (problem := find_change(file)) is not None]

    def _small(self, file: LocalFile) -> None:
        with open_unchanged(file) as opened:
            data = read_whole(opened, file, file.size)
        sha256, md5 = digest_data(data)
        there = self._there.get(file.path)
        if there is not None and self._same(file, there, sha256, md5):
            self._is_there(file, sha256, there)
            return
        if there is not None and not self._replace:
            raise make_conflict(file.path)
        if there is not None and not self._dry:
            self._stage_small(file, data, sha256, md5)
            return
        etag = "" if self._dry else self._put(file, data, sha256, md5)
        self._progress.move(file.size)
        self._keep(file, sha256, etag, moved=True)

    def _put(self, file: LocalFile, data: bytes, sha256: str, md5: bytes) -> str:
        path = self._folder + file.path
        try:
            return self._try(partial(self._objects.put, path, data, replace=False))
        except StoreError as failure:
            if failure.kind != "exists":
                raise
            # Ours, where the answer to a request was lost and it was sent again.
            there = self._try(partial(self._objects.look, path))
            if there is None or not self._same(file, there, sha256, md5):
                raise self._taken(file) from failure
            return there.etag

    def _taken(self, file: LocalFile) -> FileConflictError:
        """Return the error for an object that somebody else wrote just now."""
        if not self._replace:
            return make_conflict(file.path)
        return FileConflictError(
            f"{format_path(file.path)}: another upload wrote it just now; look at it, and give the "
            "same command again if yours is right"
        )

    def _stage_small(self, file: LocalFile, data: bytes, sha256: str, md5: bytes) -> None:
        path = self._folder + file.path
        if data:
            finish = self._staged_part(file, data, md5)
        else:  # An upload in parts needs at least one byte.
            finish = partial(self._objects.put, path, data, replace=True)
        self._stage(file, sha256, finish, lambda there: has_same_content(there, file.size, md5))

    def _staged_part(self, file: LocalFile, data: bytes, md5: bytes) -> Callable[[], str]:
        path = self._folder + file.path
        complete = partial(self._objects.complete, path, replace=True)
        for upload in self._unfinished.get(file.path, []):
            with suppress(StoreError):
                arrived = self._try(partial(self._objects.list_parts, path, upload))
                if [(part.number, part.etag) for part in arrived] == [(1, md5.hex())]:
                    self._progress.spare(file.size)
                    return partial(complete, upload, [arrived[0].etag])
        begun = self._try(partial(self._objects.begin, path))
        etag = self._try(partial(self._objects.send_part, path, begun, 1, data, md5))
        self._progress.move(file.size)
        return partial(complete, begun, [etag])

    def _stage(
        self,
        file: LocalFile,
        sha256: str,
        finish: Callable[[], str],
        is_there: Callable[[ObjectMetadata], bool],
        *,
        moved: bool = True,
    ) -> None:
        self._progress.done(moved=moved)
        staged = StagedObject(FileRow(file.path, file.size, sha256), finish, is_there)
        with self._lock:
            self._sent.staged.append(staged)

    def _same(self, file: LocalFile, there: ObjectMetadata, sha256: str, md5: bytes) -> bool:
        if there.size != file.size:
            return False
        if has_same_content(there, file.size, md5):
            return True
        # An encrypting store has ETags of its own, and keeps the checksum that we sent.
        return self._try(partial(self._objects.sha256, self._folder + file.path)) == sha256

    def _large(self, file: LocalFile) -> None:
        plan = plan_parts(file.size)
        there = self._there.get(file.path)
        if there is not None and (sha256 := self._sha256_if_there(file, plan, there)):
            self._is_there(file, sha256, there)
        elif file.path in self._there and not self._replace:
            raise make_conflict(file.path)
        elif self._dry:
            self._progress.move(file.size)
            self._keep(file, "", "", moved=True)
        else:
            self._send_large(file, plan)

    def _sha256_if_there(
        self, file: LocalFile, plan: PartPlan, there: ObjectMetadata | None
    ) -> str | None:
        """The SHA-256 of a file that is known to be there; `None` where it is not."""
        if there is None or there.size != file.size:
            return None
        found = digest_file(self._work, file, plan)
        return found.sha256 if found.match_object(there) else None

    def _send_large(self, file: LocalFile, plan: PartPlan) -> None:
        try:
            self._send_parts(file, plan, self._unfinished.get(file.path, []))
        except StoreError as failure:
            if failure.store_code != "NoSuchUpload":
                raise
            # Given up by somebody else meanwhile; from the beginning, once.
            self._send_parts(file, plan, [])

    def _send_parts(self, file: LocalFile, plan: PartPlan, begun: list[str]) -> None:
        parts = find_unfinished_upload(self._work, self._folder + file.path, begun, plan)
        replacing = file.path in self._there
        etag = ""
        try:
            sha256 = parts.send(file, plan)
            if not replacing:
                etag = self._try(partial(parts.complete, replace=False))
        except LocalFileError:
            # Parts of what the file was are worth nothing.
            self._try(parts.abort)
            raise
        except StoreError as failure:
            if failure.kind not in ("exists", "missing"):
                raise
            # Finished by somebody else; or by us, and the answer was lost.
            there = self._try(partial(self._objects.look, self._folder + file.path))
            found = self._sha256_if_there(file, plan, there)
            if found is None and failure.kind == "exists":
                self._try(parts.abort)
                raise self._taken(file) from failure
            if found is None or there is None:
                raise
            sha256, etag = found, there.etag
        if replacing:
            finish = partial(parts.complete, replace=True)
            self._stage(
                file, sha256, finish, partial(self._holds, file, plan), moved=parts.sent > 0
            )
        else:
            self._keep(file, sha256, etag, moved=parts.sent > 0)

    def _holds(self, file: LocalFile, plan: PartPlan, there: ObjectMetadata) -> bool:
        return self._sha256_if_there(file, plan, there) is not None

    def _is_there(self, file: LocalFile, sha256: str, there: ObjectMetadata) -> None:
        self._progress.spare(file.size)
        self._keep(file, sha256, there.etag, moved=False)

    def _keep(self, file: LocalFile, sha256: str, etag: str, *, moved: bool) -> None:
        self._progress.done(moved=moved)
        if not self._dry:
            with self._lock:
                self._sent.files.append(FileRow(file.path, file.size, sha256))
                self._sent.etags[file.path] = etag

    def _try(self, request: Callable[[], T]) -> T:
        return self._retry_policy.call_with_retries(request)
