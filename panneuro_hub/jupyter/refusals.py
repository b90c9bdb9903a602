"""What is answered where something cannot be done: an HTTP status, and the reason in words."""

from __future__ import annotations

from panneuro_hub.catalog import Malformed
from panneuro_hub.client.errors import (
    Conflict,
    DatasetEmbargoError,
    FileProblem,
    NotComplete,
    Stopped,
    StoreError,
    Unfinished,
    WrongName,
)
from panneuro_hub.errors import (
    AccessDenied,
    MissingPackageError,
    PanNeuroError,
    ServiceUnavailable,
)
from panneuro_hub.lab.here import NothingThere, NotInSession


class BadRequest(PanNeuroError):
    """What the browser sent cannot be understood; the text says what would be right."""


class TooMuch(PanNeuroError):
    """More than this server can hold on its way to the store."""


class NoUpload(PanNeuroError):
    """There is no such upload here, or it is over."""


class NoNotebook(PanNeuroError):
    """There is no such notebook."""


class OutOfStep(PanNeuroError):
    """A piece of a file is not the one that comes next.

    Parameters
    ----------
    received : int
        How much of the file is here: where the next piece begins.
    """

    def __init__(self, message: str, received: int) -> None:
        self.received = received
        super().__init__(message)


class Damaged(PanNeuroError):
    """A piece of a file arrived otherwise than it was sent."""


_STATUSES: tuple[tuple[type[PanNeuroError], int], ...] = (
    (AccessDenied, 403),
    (BadRequest, 400),
    (DatasetEmbargoError, DatasetEmbargoError.status),
    (WrongName, 400),
    (FileProblem, 400),
    (Malformed, 400),
    (NotInSession, 404),
    (NothingThere, 404),
    (NotComplete, 404),
    (NoNotebook, 404),
    (NoUpload, 404),
    (Conflict, 409),
    (OutOfStep, 409),
    (Stopped, 409),
    (Unfinished, 409),
    (TooMuch, 413),
    (Damaged, 422),
    (MissingPackageError, 503),
    (ServiceUnavailable, 503),
)
_KINDS = {"denied": 403, "exists": 409, "missing": 404}


def status_of(problem: PanNeuroError) -> int:
    """The HTTP status for a problem; 503 where the same later may help."""
    if isinstance(problem, StoreError):
        return _KINDS.get(problem.kind, 503)
    return next((status for kind, status in _STATUSES if isinstance(problem, kind)), 409)
