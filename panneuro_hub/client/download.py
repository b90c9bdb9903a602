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

from panneuro_hub.catalog import File
from panneuro_hub.client.crew import Crew, Patience
from panneuro_hub.client.errors import FileProblem, StoreError
from panneuro_hub.client.files import conflict, name_problem, reason
from panneuro_hub.client.objects import Objects
from panneuro_hub.client.parts import PART
from panneuro_hub.client.progress import Progress
from panneuro_hub.client.shown_paths import shown
from panneuro_hub.client.target_folder import TargetFile, target_file
from panneuro_hub.errors import PanNeuroError

T = TypeVar("T")

_BLOCK = 4 << 20  # bytes, when files of this machine are read
_AHEAD = 6  # pieces of a large file under way
_TIMES = 3  # a file that arrives damaged is fetched so often


class Downloader:
    """Fetches files of one place of the store into a folder.

    Parameters
    ----------
    objects : Objects
    folder : str
        Of the dataset, seen from the objects' root; ends in ``/``.
    target : Path
        Made where missing.
    replace : bool
        Whether a file with other content is replaced.
    progress : Progress
    patience : Patience
    """

    def __init__(
        self,
        objects: Objects,
        folder: str,
        target: Path,
        *,
        replace: bool,
        progress: Progress,
        patience: Patience,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._target = target
        self._replace = replace
        self._progress = progress
        self._patience = patience
        self._crew = Crew(patience.stop)

    def check(self, files: tuple[File, ...]) -> list[PanNeuroError]:
        """What speaks against fetching these, before anything is.

        Raises
        ------
        FileProblem
            If the folder cannot be one, or the disk has no room.
        """
        self._make_target()
        problems: list[PanNeuroError] = [
            FileProblem(f"{shown(file.path)}: {wrong}; the manifest should not name it")
            for file in files
            if (wrong := name_problem(file.path)) is not None
        ]
        if problems:
            return problems
        missing = sum(file.size for file in files if not self._place(file).is_file())
        free = shutil.disk_usage(self._target).free
        if missing > free:
            raise FileProblem(
                f"{self._target}: {missing} bytes are to come, and {free} are free on that disk"
            )
        return [
            conflict(file.path)
            for file in files
            if not self._replace and _other_size(self._place(file), file)
        ]

    def fetch(self, files: tuple[File, ...]) -> list[PanNeuroError]:
        """Fetch what is not there; gives what went wrong with single files.

        Raises
        ------
        AccessDenied, StoreError
            Where it concerns all files.
        """
        with self._crew.at_work() as crew:
            for file in files:
                if file.size > PART:
                    crew.large(partial(self._one, file, self._fetch_large))
            for file in files:
                if file.size <= PART:
                    crew.small(file.size, partial(self._one, file, self._fetch_small))
        return crew.problems

    def _make_target(self) -> None:
        try:
            self._target.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise FileProblem(f"{self._target}: {reason(problem)}") from problem

    def _place(self, file: File) -> Path:
        return self._target.joinpath(*file.path.split("/"))

    def _one(self, file: File, fetch: Callable[[File, TargetFile], str]) -> None:
        try:
            with target_file(self._target, file.path) as place:
                moved = not self._is_here(file, place)
                if moved:
                    self._fetch_whole(file, place, fetch)
        except OSError as problem:
            failure = FileProblem(f"{shown(file.path)}: {reason(problem)}")
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                self._crew.give_up(failure)
            raise failure from problem
        if not moved:
            self._progress.spare(file.size)
        self._progress.done(moved=moved)

    def _is_here(self, file: File, place: TargetFile) -> bool:
        """Whether a file is here, whole; what is here instead is a conflict, or replaced."""
        if not place.exists():
            return False
        if place.holds(file.size, file.sha256):
            return True
        if not self._replace:
            raise conflict(file.path)
        return False

    def _fetch_whole(
        self, file: File, place: TargetFile, fetch: Callable[[File, TargetFile], str]
    ) -> None:
        for _ in range(_TIMES):
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
            self._progress.wait(f"{shown(file.path)} arrived damaged and is fetched again")
        raise FileProblem(
            f"{shown(file.path)}: what comes is not what the manifest says (SHA-256); it is "
            "damaged on the way or in the store, or is being replaced just now"
        )

    def _fetch_small(self, file: File, place: TargetFile) -> str:
        data = self._get(partial(self._objects.get, self._folder + file.path), file)
        with place.create() as out:
            out.write(data)
        self._progress.move(len(data))
        return hashlib.sha256(data).hexdigest()

    def _fetch_large(self, file: File, place: TargetFile) -> str:
        whole = hashlib.sha256()
        with place.resume() as out:
            done = _take_up(out, whole, file.size)
            self._progress.spare(done)
            waiting: deque[tuple[Future[memoryview], int]] = deque()
            starts = deque(range(done, file.size, PART))
            try:
                while starts or waiting:
                    self._patience.check()
                    if starts and len(waiting) < _AHEAD:
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
                        self._crew.budget.give(taken)
            finally:
                for _, taken in waiting:
                    self._crew.budget.give(taken)
        return whole.hexdigest()

    def _ask(self, file: File, start: int) -> tuple[Future[memoryview], int]:
        size = min(PART, file.size - start)
        taken = self._crew.budget.take(size)
        get = partial(self._objects.get_range, self._folder + file.path, start, size)
        return self._crew.ask(partial(self._get, get, file)), taken

    def _get(self, request: Callable[[], T], file: File) -> T:
        try:
            return self._patience.keep_trying(request)
        except StoreError as failure:
            if failure.kind != "missing":
                raise
            raise FileProblem(
                f"{shown(file.path)}: the manifest names it, and it is not there"
            ) from failure


def _take_up(out: BinaryIO, whole: hashlib._Hash, size: int) -> int:
    """Go on with what an earlier download left, if it is shorter than the whole."""
    left = out.seek(0, os.SEEK_END)
    if left >= size:
        out.truncate(0)
        left = 0
    out.seek(0)
    while piece := out.read(_BLOCK):
        whole.update(piece)
    return left


def _other_size(place: Path, file: File) -> bool:
    try:
        return place.is_dir() or (place.lstat().st_size != file.size and not place.is_symlink())
    except OSError:
        return False
