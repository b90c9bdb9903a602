"""Uploads from the browser: what has come is sent on by the machinery of ``panneuro upload``.

The browser announces its files, sends them in pieces, and says when to go on; the rest is done
here, also when its page is closed. One upload at a time goes to the store.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.client.api import describe_result
from panneuro_hub.client.connection import open_connection
from panneuro_hub.client.dataset_names import DatasetName, find_project_prefix, require_write
from panneuro_hub.client.excluded_files import EVERYTHING
from panneuro_hub.client.local_files import find_name_problem
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.transfer.dataset_transfer import DatasetTransfer, TransferResult
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer_errors import (
    FileConflictError,
    IncompleteDatasetError,
    LocalFileError,
    SecretsFoundError,
    TransferStoppedError,
)
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.jupyter.panel_errors import (
    PieceOrderError,
    UploadNotFoundError,
    UploadTooLargeError,
)
from panneuro_hub.jupyter.request_schemas import UploadRequest
from panneuro_hub.jupyter.upload_spool import UploadSpool
from panneuro_hub.lab import current_session
from panneuro_hub.names import StorageLocation

UploadState = Literal["receiving", "waiting", "sending", "done", "failed", "stopped"]

MAX_SPOOL_BYTES = 50 * 1000**3
"""What all uploads from the browser may take of the disk together, in bytes."""

_FREE_DISK_BYTES = 1000**3  # bytes of the disk that stay free
_IDLE_SECONDS = 3600.0  # seconds after which nobody goes on with an upload
_SHORT_SECONDS = 10.0  # seconds of patience while somebody waits for an answer
_FINAL_STATES: tuple[UploadState, ...] = ("done", "failed", "stopped")

log = logging.getLogger("panneuro_hub.jupyter")


class BrowserUpload:
    """One upload, from what was announced to what it came to.

    Parameters
    ----------
    identifier : str
    asked : UploadRequest
    spool : UploadSpool
    turn : threading.Lock
        Held while an upload goes to the store.
    """

    def __init__(
        self, identifier: str, asked: UploadRequest, spool: UploadSpool, turn: threading.Lock
    ) -> None:
        self.identifier = identifier
        self.asked = asked
        self.spool = spool
        # Together: an answer never pairs a state with another state's number.
        self._revision: tuple[int, UploadState] = (0, "receiving")
        self.touched = time.monotonic()
        self._turn = turn
        self._progress = TransferProgress()
        self._stop = threading.Event()
        self._outcome: TransferResult | None = None
        self._problem: str | None = None
        self._code = ""
        self._allow_secrets = False
        self._news: list[str] = []

    @property
    def state(self) -> UploadState:
        """Return the state that the upload is in."""
        return self._revision[1]

    @state.setter
    def state(self, state: UploadState) -> None:
        self._revision = (self._revision[0] + 1, state)

    def take(self, index: int, offset: int, piece: bytes, sha256: str | None) -> int:
        """Keep a piece of a file; raises as `UploadSpool.take`."""
        self.touched = time.monotonic()
        if self.state != "receiving":
            raise UploadNotFoundError("this upload takes no files any more")
        return self.spool.take(index, offset, piece, sha256)

    def start(self, *, update: bool, allow_secrets: bool = False) -> None:
        """Go on to the store; returns at once. An upload that failed can go on again.

        The same request again changes nothing: its answer may have been lost on its way.

        Raises
        ------
        PieceOrderError
            If not all files have come, the upload was stopped, or it goes on otherwise.
        """
        if self.state in ("waiting", "sending", "done") and update == self.asked.update:
            return
        if self.state not in ("receiving", "failed"):
            raise PieceOrderError("this upload goes on already, or is over", 0)
        if self.spool.missing:
            raise PieceOrderError(f"{self.spool.missing} files have not come whole yet", 0)
        self.asked = replace(self.asked, update=update)
        self._allow_secrets = allow_secrets
        self._problem, self._code = None, ""
        self.state = "waiting"
        self._progress = TransferProgress()
        threading.Thread(target=self._run, name="panneuro-upload", daemon=True).start()

    def stop(self) -> None:
        """End it, and remove what has come of it from this server."""
        self._stop.set()
        if self.state not in _FINAL_STATES:
            self.state = "stopped"
        self.spool.remove()

    def answer(self) -> dict[str, Any]:
        """Return the progress of the upload, for the browser."""
        # First: whatever belongs to a state is there before the state is.
        revision, state = self._revision
        told = self._progress
        outcome = self._outcome
        self._news += told.news()
        return {
            "id": self.identifier,
            "dataset": str(self.asked.name),
            "revision": revision,
            "state": state,
            "size": self.asked.size,
            "received": sum(self.spool.received),
            "sent": told.moved + told.spared,
            "line": told.line() if state == "sending" else "",
            "problem": self._problem,
            "code": self._code,
            "update": self.asked.update,
            "allowed": self._allow_secrets,
            "said": _describe_result(outcome) if outcome else "",
            "notes": [*(outcome.findings if outcome else ()), *self._notes(), *self._news],
        }

    def _notes(self) -> tuple[str, ...]:
        return self._outcome.notes if self._outcome else ()

    def _run(self) -> None:
        with self._turn:
            try:
                self._send()
            except TransferStoppedError:
                self.state = "stopped"
            except SecretsFoundError as problem:
                self._fail(str(problem), problem.code)
            except PanNeuroError as problem:
                self._fail(str(problem))
            except Exception:
                log.exception("an upload of %s broke off", self.asked.name)
                self._fail("it broke off for a reason that is in the log of this server")

    def _send(self) -> None:
        if self._stop.is_set():
            raise TransferStoppedError("the upload was stopped")
        self.state = "sending"
        progress = self._progress
        patience = RetryPolicy(stop=self._stop, note=progress.wait)
        asked = self.asked
        with open_connection(asked.name.project, writing=True) as connection:
            transfer = DatasetTransfer(connection, asked.name, progress, patience)
            try:
                self._outcome = transfer.upload(
                    self.spool.folder,
                    asked.said,
                    update=asked.update,
                    include=EVERYTHING if asked.include_all else None,
                    allow_secrets=self._allow_secrets,
                )
            finally:
                transfer.close()
        self.state = "done"
        self.touched = time.monotonic()
        self.spool.remove()

    def _fail(self, problem: str, code: str = "") -> None:
        self.touched = time.monotonic()
        self._problem, self._code = problem, code
        # After what happened is known: who asks meanwhile must not see a failure without it.
        self.state = "stopped" if self._stop.is_set() else "failed"


def _describe_result(outcome: TransferResult) -> str:
    """Return a sentence or two about the result; its digest is in the catalog."""
    return (
        f"{describe_result(replace(outcome, sha256=None), 'sent')} {outcome.dataset} is complete."
    )


class UploadRegistry:
    """All uploads of this server.

    Parameters
    ----------
    most : int
        What they may take of the disk together, in bytes.
    free : callable
        How much of the disk that a folder lies on is free, in bytes.
    """

    def __init__(
        self,
        most: int = MAX_SPOOL_BYTES,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._most = most
        self._free = free
        self._folder = tempfile.TemporaryDirectory(prefix="panneuro-uploads-")
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._uploads: dict[str, BrowserUpload] = {}
        atexit.register(self.close)

    def begin(self, asked: UploadRequest) -> BrowserUpload:
        """Take up an upload; one of the same files that has not gone on is continued.

        Raises
        ------
        UploadTooLargeError
            If there is no room for it.
        """
        with self._lock:
            self._forget()
            for upload in self._uploads.values():
                if upload.state == "receiving" and upload.asked == asked:
                    return upload
            self._make_room(asked.size)
            identifier = secrets.token_hex(16)
            spool = UploadSpool(Path(self._folder.name) / identifier, asked.files)
            upload = BrowserUpload(identifier, asked, spool, self._turn)
            self._uploads[identifier] = upload
            return upload

    def get(self, identifier: str) -> BrowserUpload:
        """Return the upload with this id.

        Raises
        ------
        UploadNotFoundError
            If there is none.
        """
        with self._lock:
            upload = self._uploads.get(identifier)
        if upload is None:
            raise UploadNotFoundError(
                "there is no such upload here; this server may have been started anew"
            )
        return upload

    def listed(self) -> list[BrowserUpload]:
        """Return all uploads, the oldest first."""
        with self._lock:
            return list(self._uploads.values())

    def end(self, identifier: str) -> None:
        """Stop an upload, and forget it; raises as `get`."""
        self.get(identifier).stop()
        with self._lock:
            self._uploads.pop(identifier, None)

    def close(self) -> None:
        """Stop all of them, and remove everything from the disk."""
        atexit.unregister(self.close)
        for upload in self.listed():
            upload.stop()
        with suppress(OSError):
            self._folder.cleanup()

    def _forget(self) -> None:
        now = time.monotonic()
        for identifier, upload in list(self._uploads.items()):
            resting = upload.state in (*_FINAL_STATES, "receiving")
            if resting and now - upload.touched > _IDLE_SECONDS:
                upload.stop()
                del self._uploads[identifier]

    def _make_room(self, size: int) -> None:
        live = [one for one in self._uploads.values() if one.state not in ("done", "stopped")]
        promised = sum(one.asked.size for one in live)
        # What has come already is not free any more.
        coming = sum(one.asked.size - sum(one.spool.received) for one in live)
        room = min(
            self._most - promised, self._free(Path(self._folder.name)) - _FREE_DISK_BYTES - coming
        )
        if size > room:
            raise UploadTooLargeError(
                f"these are {format_size(size)}, and this server has room for "
                f"{format_size(max(room, 0))} on their way from the browser; panneuro upload, in a "
                "terminal or on your own machine, needs no room"
            )


def begin_upload(uploads: UploadRegistry, body: bytes) -> BrowserUpload:
    """Take up the upload that a request asks for.

    Raises
    ------
    BadRequest, WrongName, FileProblem
        If the request cannot be understood, or a file has a name that cannot be.
    AccessDeniedError, Conflict
        As for `check_target`.
    UploadTooLargeError
        If there is no room for it.
    """
    asked = UploadRequest.parse(body)
    paths = [file.path for file in asked.files]
    check_target(asked.name, update=asked.update, paths=paths)
    return uploads.begin(asked)


def check_target(name: DatasetName, *, update: bool, paths: Iterable[str] = ()) -> None:
    """Find out before anything is sent whether it can be published there.

    Raises
    ------
    AccessDenied
        If this session may not write there, with the reason.
    FileConflictError
        If the dataset is there already, and is not to be changed.
    LocalFileError
        If a path is too long for the place.
    NotInSessionError, ServiceUnavailable, StoreError
        If that cannot be found out.
    """
    current_session.session()
    with open_connection(name.project, writing=True) as connection:
        project = find_project_prefix(connection.view, name.project)
        place = StorageLocation(project.bucket, f"{project.key}{name.dataset}/")
        require_write(connection.view, place, str(name))
        for path in paths:
            if wrong := find_name_problem(path, place.key):
                raise LocalFileError(f"{format_path(path)}: {wrong}")
        if update:
            return
        transfer = DatasetTransfer(
            connection, name, TransferProgress(), RetryPolicy(seconds=_SHORT_SECONDS)
        )
        try:
            transfer.manifest()
        except IncompleteDatasetError:
            return
        finally:
            transfer.close()
    raise FileConflictError(
        f"{name} is there already, and complete; choose another name, or --update"
    )
