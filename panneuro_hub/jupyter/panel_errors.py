"""Errors of requests to the panel's API."""

from __future__ import annotations

from panneuro_hub.errors import PanNeuroError


class BadRequestError(PanNeuroError):
    """A request is malformed; the text says how to correct it."""

    code = "bad-request"
    status = 400


class UploadTooLargeError(PanNeuroError):
    """An upload needs more disk than this server has."""

    code = "upload-too-large"
    status = 413


class UploadNotFoundError(PanNeuroError):
    """The upload does not exist, or has ended."""

    code = "upload-not-found"
    status = 404


class ServerFileNotFoundError(PanNeuroError):
    """The notebook does not exist."""

    code = "file-not-found"
    status = 404


class PieceOrderError(PanNeuroError):
    """A piece of a file is not the one that comes next.

    Parameters
    ----------
    received : int
        How much of the file is here: where the next piece begins.
    """

    code = "piece-order"
    status = 409

    def __init__(self, message: str, received: int) -> None:
        self.received = received
        self.fields = {"received": received}
        super().__init__(message)


class DamagedPieceError(PanNeuroError):
    """A piece of a file was damaged on its way."""

    code = "damaged-piece"
    status = 422
