"""Fetching a dataset into a folder, every file compared with its manifest.

A file is written beside its place, under a name of its own, and gets its real name
when it is whole and its SHA-256 is right. What a broken-off download left there is
continued.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from panneuro_hub.catalog import FileRow
from panneuro_hub.client.local_files import describe_os_error, find_name_problem, make_conflict
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.part_plan import USUAL_PART
from panneuro_hub.client.transfer.pool import RetryPolicy, TransferPool
from panneuro_hub.client.transfer.prefix_objects import PrefixObjects
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer.target_folder import TargetFile, target_file
from panneuro_hub.client.transfer_errors import LocalFileError, StoreError
from panneuro_hub.errors import PanNeuroError

T = TypeVar("T")

_BLOCK_SIZE = 4 << 20  # bytes, when files of this machine are read
_BLOCKS_AHEAD = 6  # pieces of a large file under way
_MAX_ATTEMPTS = 3  # a file that arrives damaged is fetched so often


class FileDownloader:
    """Fetches files of one place of the store into a folder.

    Parameters
    ----------
    objects : PrefixObjects
    folder : str
        Of the dataset, seen from the objects' root; ends in ``/``.
    target : Path
        Made where missing.
    replace : bool
        Whether a file with other content is replaced.
    progress : TransferProgress
    retry_policy : RetryPolicy
    """

    def __init__(
        self,
        objects: PrefixObjects,
        folder: str,
        target: Path,
        *,
        replace: bool,
        progress: TransferProgress,
        retry_policy: RetryPolicy,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._target = target
        self._replace = replace
        self._progress = progress
        self._retry_policy = retry_policy
        self._pool = TransferPool(retry_policy.stop)

    def check(self, files: tuple[FileRow, ...]) -> list[PanNeuroError]:
        """Return the problems of a download, before anything is fetched.

        Raises
        ------
        LocalFileError
            If the folder cannot be one, or the disk has no room.
        """
        self._make_target()
        problems: list[PanNeuroError] = [
            LocalFileError(f"{format_path(file.path)}: {wrong}; the manifest should not name it")
            for file in files
            if (wrong := find_name_problem(file.path)) is not None
        ]
        if problems:
            return problems
        missing = sum(file.size for file in files if not self._place(file).is_file())
        free = shutil.disk_usage(self._target).free
        if missing > free:
            raise LocalFileError(
                f"{self._target}: {missing} bytes are to come, and {free} are free on that disk"
            )
        return [
            make_conflict(file.path)
            for file in files
            if not self._replace and _size_conflict(self._place(file), file)
        ]

    def fetch(self, files: tuple[FileRow, ...]) -> list[PanNeuroError]:
        """Fetch what is not there; gives what went wrong with single files.

        Raises
        ------
        AccessDeniedError, StoreError
            Where it concerns all files.
        """
        with self._pool.wait_for_jobs() as pool:
            for file in files:
                if file.size > USUAL_PART:
                    pool.large(partial(self._one, file, self._fetch_large))
            for file in files:
                if file.size <= USUAL_PART:
                    pool.small(file.size, partial(self._one, file, self._fetch_small))
        return pool.problems

    def _make_target(self) -> None:
        try:
            self._target.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise LocalFileError(f"{self._target}: {describe_os_error(problem)}") from problem

    def _place(self, file: FileRow) -> Path:
        return self._target.joinpath(*file.path.split("/"))

    def _one(self, file: FileRow, fetch: Callable[[FileRow, TargetFile], str]) -> None:
        try:
            with target_file(self._target, file.path) as place:
                moved = not self._is_here(file, place)
                if moved:
                    self._fetch_whole(file, place, fetch)
        except OSError as problem:
            failure = LocalFileError(f"{format_path(file.path)}: {describe_os_error(problem)}")
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                self._pool.abort_jobs(failure)
            raise failure from problem
        if not moved:
            self._progress.spare(file.size)
        self._progress.done(moved=moved)

    def _is_here(self, file: FileRow, place: TargetFile) -> bool:
        """Return whether a file is complete here; another file is a conflict, or is replaced."""
        if not place.exists():
            return False
        if place.holds(file.size, file.sha256):
            return True
        if not self._replace:
            raise make_conflict(file.path)
        return False

    def _fetch_whole(
        self, file: FileRow, place: TargetFile, fetch: Callable[[FileRow, TargetFile], str]
    ) -> None:
        for _ in range(_MAX_ATTEMPTS):
            try:
                arrived = fetch(file, place)
            except OSError:
                with suppress(OSError):
                    place.discard()
                raise
            if arrived == file.sha256:
                place.finish()
                return
            place.discard()
            self._progress.wait(f"{format_path(file.path)} arrived damaged and is fetched again")
        raise LocalFileError(
            f"{format_path(file.path)}: what comes is not what the manifest says (SHA-256); it is "
            "damaged on the way or in the store, or is being replaced just now"
        )

    def _fetch_small(self, file: FileRow, place: TargetFile) -> str:
        data = self._get(partial(self._objects.get, self._folder + file.path), file)
        with place.create() as out:
            out.write(data)
        self._progress.move(len(data))
        return hashlib.sha256(data).hexdigest()

    def _fetch_large(self, file: FileRow, place: TargetFile) -> str:
        whole = hashlib.sha256()
        with place.resume() as out:
            done = _resume_digest(out, whole, file.size)
            self._progress.spare(done)
            waiting: deque[tuple[Future[memoryview], int]] = deque()
            starts = deque(range(done, file.size, USUAL_PART))
            try:
                while starts or waiting:
                    self._retry_policy.check()
                    if starts and len(waiting) < _BLOCKS_AHEAD:
                        waiting.append(self._ask(file, starts.popleft()))
                        continue
                    future, taken = waiting.popleft()
                    try:
                        data = future.result()
                        whole.update(data)
                        out.write(data)
                        self._progress.move(len(data))
                        del data, future
                    finally:
                        self._pool.budget.release(taken)
            finally:
                for _, taken in waiting:
                    self._pool.budget.release(taken)
        return whole.hexdigest()

    def _ask(self, file: FileRow, start: int) -> tuple[Future[memoryview], int]:
        size = min(USUAL_PART, file.size - start)
        taken = self._pool.budget.reserve(size)
        get = partial(self._objects.get_range, self._folder + file.path, start, size)
        return self._pool.ask(partial(self._get, get, file)), taken

    def _get(self, request: Callable[[], T], file: FileRow) -> T:
        try:
            return self._retry_policy.call_with_retries(request)
        except StoreError as failure:
            if failure.kind != "missing":
                raise
            raise LocalFileError(
                f"{format_path(file.path)}: the manifest names it, and it is not there"
            ) from failure


def _resume_digest(out: BinaryIO, whole: hashlib._Hash, size: int) -> int:
    """Go on with what an earlier download left, if it is shorter than the whole."""
    left = out.seek(0, os.SEEK_END)
    if left >= size:
        out.truncate(0)
        left = 0
    out.seek(0)
    while piece := out.read(_BLOCK_SIZE):
        whole.update(piece)
    return left


def _size_conflict(place: Path, file: FileRow) -> bool:
    try:
        return place.is_dir() or (place.lstat().st_size != file.size and not place.is_symlink())
    except OSError:
        return False
