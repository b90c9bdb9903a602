"""Errors between a person's files and the object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from panneuro_hub.errors import PanNeuroError

ErrorKind = Literal["again", "keys", "damaged", "denied", "exists", "missing", "clock", "other"]
"""What a refusal of the store asks for: ``again`` may help soon, ``keys`` with new keys,
``damaged`` arrived otherwise than it was sent; the others are final."""


class StoreError(PanNeuroError):
    """An object store refused or failed a request.

    Parameters
    ----------
    kind : ErrorKind
    message : str
    code : str
        The store's own error code, such as ``NoSuchUpload``; ``""`` if it gave none.
    """

    def __init__(self, kind: ErrorKind, message: str, code: str = "") -> None:
        self.kind = kind
        self.code = code
        super().__init__(message)


class WrongNameError(PanNeuroError):
    """A name is not that of a project or dataset; the text says how to correct it."""


class DatasetEmbargoError(PanNeuroError):
    """Refuse an embargo on one dataset, which nothing would enforce.

    The rights of a session cover whole projects, so the object store would give the data of the
    dataset to everybody who can read its project.
    """

    code = "dataset_embargo_not_enforced"
    status = 400

    def __init__(self) -> None:
        super().__init__(
            "an embargo on one dataset is not offered, because nothing would enforce it: everybody "
            "who can read the project could open the data. A project can be under an embargo that "
            "is enforced: ask the people who keep the collaboration file for a project with "
            "`embargo`, and upload the data there. Nothing was sent"
        )


class LocalFileError(PanNeuroError):
    """A file of this machine cannot be sent, or cannot be written; the text names it."""


class FileConflictError(PanNeuroError):
    """Something else has this name, and stays as it is unless ``--update`` is given."""


class IncompleteDatasetError(PanNeuroError):
    """A dataset has no manifest: its upload is under way or was interrupted."""


class TransferStoppedError(PanNeuroError):
    """A transfer was stopped."""


class SecretsFoundError(PanNeuroError):
    """Nothing was sent, since some places seem to hold secrets; the text names the places.

    Parameters
    ----------
    findings : sequence of object
        Each with the file, the place and the kind as its text, and never the secret.
    advice : str
        How to go on.
    """

    code = "secrets_found"
    status = 409

    def __init__(self, findings: Sequence[object], advice: str = "") -> None:
        self.problems = tuple(findings)
        lines = ["nothing was sent, since this looks like secrets:", *_list_problems(self.problems)]
        super().__init__("\n".join([*lines, advice] if advice else lines))


_MOST_LISTED = 10


def _list_problems(problems: Sequence[object]) -> list[str]:
    lines = [f"  {problem}" for problem in problems[:_MOST_LISTED]]
    left = len(problems) - _MOST_LISTED
    return [*lines, f"  and {left} more"] if left > 0 else lines


class UnfinishedTransferError(PanNeuroError):
    """Some files could not be transferred; the others were, and are not sent again.

    Parameters
    ----------
    done : str
        What was to be done, as the beginning of a sentence.
    problems : sequence of PanNeuroError
    """

    def __init__(self, done: str, problems: Sequence[PanNeuroError]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([done, *_list_problems(self.problems)]))
