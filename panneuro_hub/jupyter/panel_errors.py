"""Errors of the panel's API, with their HTTP status."""

from __future__ import annotations

from panneuro_hub.catalog import MalformedRecordError
from panneuro_hub.client.transfer_errors import (
    DatasetEmbargoError,
    FileConflictError,
    IncompleteDatasetError,
    LocalFileError,
    StoreError,
    TransferStoppedError,
    UnfinishedTransferError,
    WrongNameError,
)
from panneuro_hub.errors import (
    AccessDeniedError,
    MissingPackageError,
    PanNeuroError,
    ServiceUnavailableError,
)
from panneuro_hub.lab.current_session import NotInSessionError, PathNotFoundError


class BadRequestError(PanNeuroError):
    """A request is malformed; the text says how to correct it."""


class UploadTooLargeError(PanNeuroError):
    """An upload needs more disk than this server has."""


class UploadNotFoundError(PanNeuroError):
    """The upload does not exist, or has ended."""


class ServerFileNotFoundError(PanNeuroError):
    """The notebook does not exist."""


class PieceOrderError(PanNeuroError):
    """A piece of a file is not the one that comes next.

    Parameters
    ----------
    received : int
        How much of the file is here: where the next piece begins.
    """

    def __init__(self, message: str, received: int) -> None:
        self.received = received
        super().__init__(message)


class DamagedPieceError(PanNeuroError):
    """A piece of a file was damaged on its way."""


_STATUSES: tuple[tuple[type[PanNeuroError], int], ...] = (
    (AccessDeniedError, 403),
    (BadRequestError, 400),
    (DatasetEmbargoError, DatasetEmbargoError.status),
    (WrongNameError, 400),
    (LocalFileError, 400),
    (MalformedRecordError, 400),
    (NotInSessionError, 404),
    (PathNotFoundError, 404),
    (IncompleteDatasetError, 404),
    (ServerFileNotFoundError, 404),
    (UploadNotFoundError, 404),
    (FileConflictError, 409),
    (PieceOrderError, 409),
    (TransferStoppedError, 409),
    (UnfinishedTransferError, 409),
    (UploadTooLargeError, 413),
    (DamagedPieceError, 422),
    (MissingPackageError, 503),
    (ServiceUnavailableError, 503),
)
_KIND_STATUSES = {"denied": 403, "exists": 409, "missing": 404}


def find_http_status(problem: PanNeuroError) -> int:
    """Return the HTTP status for a problem; 503 if a retry may help."""
    if isinstance(problem, StoreError):
        return _KIND_STATUSES.get(problem.kind, 503)
    return next((status for kind, status in _STATUSES if isinstance(problem, kind)), 409)
