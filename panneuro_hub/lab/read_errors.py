"""Errors of the readers: one sentence with the path of the file and the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from panneuro_hub.errors import MissingPackageError, PanNeuroError
from panneuro_hub.lab.store_errors import PathLabel


class UnknownFormatError(PanNeuroError):
    """No reader opens the format of a file; the message says what to do."""

    code = "unknown-format"
    status = 409


class UnreadableFileError(PanNeuroError):
    """A file is damaged, or does not have the format that its name says."""

    code = "unreadable-file"
    status = 409


class BrokenLinkError(UnreadableFileError):
    """A file refers to another file that is missing, or that lies outside its dataset.

    Parameters
    ----------
    cause : str
        The name of the other file, and the reason.
    where : str
        The file and the object in it that need the other one.
    """

    code = "broken-link"

    def __init__(self, cause: str, where: str = "") -> None:
        super().__init__(f"{where} needs {cause}" if where else cause)
        self.cause = cause


class OmittedDataWarning(UserWarning):
    """Something in a file is left out of the result; the message names it and the cause."""


@contextmanager
def require_packages(*packages: str) -> Iterator[None]:
    """Name the package that is missing, and the extra that contains it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingPackageError(
            f"opening this needs {' and '.join(packages)}, and {missing.name} is not installed "
            "here; it comes with panneuro-hub[lab,formats]"
        ) from missing


@contextmanager
def translate_format_errors(place: PathLabel, format_name: str) -> Iterator[None]:
    """Translate the errors that the formats' own libraries raise for damaged files.

    Errors of the store pass unchanged: `translate_store_errors` translates them.
    """
    try:
        yield
    except (PanNeuroError, BaseError, FileNotFoundError, ImportError):
        raise
    except Exception as problem:
        # For a damaged file the libraries may raise any exception, such as TypeError or IndexError.
        # h5py and others put their own error around that of the store.
        if isinstance(problem.__context__, PanNeuroError):
            raise problem.__context__ from None
        reason = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise UnreadableFileError(
            f"{place.path!r} cannot be opened as {format_name}: {reason}"
        ) from problem
