"""Errors between a person's files and the object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from panneuro_hub.errors import PanNeuroError

ErrorKind = Literal["again", "keys", "damaged", "denied", "exists", "missing", "clock", "other"]
"""What a refusal of the store asks for: ``again`` may help soon, ``keys`` with new keys,
``damaged`` arrived otherwise than it was sent; the others are final."""

_KIND_STATUSES: Mapping[ErrorKind, int] = {"denied": 403, "exists": 409, "missing": 404}
_MOST_REPORTED = 100


class StoreError(PanNeuroError):
    """An object store refused or failed a request.

    Parameters
    ----------
    kind : ErrorKind
    message : str
    store_code : str
        The store's own error code, such as ``NoSuchUpload``; ``""`` if it gave none.
    """

    code = "store-error"
    status = 503

    def __init__(self, kind: ErrorKind, message: str, store_code: str = "") -> None:
        self.kind = kind
        self.store_code = store_code
        self.status = _KIND_STATUSES.get(kind, self.status)
        self.fields = {"kind": kind}
        super().__init__(message)


class WrongNameError(PanNeuroError):
    """A name is not that of a project or dataset; the text says how to correct it."""

    code = "wrong-name"
    status = 400


class DatasetEmbargoError(PanNeuroError):
    """Refuse an embargo on one dataset, which nothing would enforce.

    The rights of a session cover whole projects, so the object store would give the data of the
    dataset to everybody who can read its project.
    """

    code = "dataset-embargo-not-enforced"
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

    code = "local-file"
    status = 400


class FileConflictError(PanNeuroError):
    """Something else has this name, and stays as it is unless ``--update`` is given."""

    code = "file-conflict"
    status = 409


class IncompleteDatasetError(PanNeuroError):
    """A dataset has no manifest: its upload is under way or was interrupted."""

    code = "incomplete-dataset"
    status = 404


class TransferStoppedError(PanNeuroError):
    """A transfer was stopped."""

    code = "transfer-stopped"
    status = 409


class SecretsFoundError(PanNeuroError):
    """Nothing was sent, since some places seem to hold secrets; the text names the places.

    Parameters
    ----------
    findings : sequence of object
        Each with the file, the place and the kind as its text, and never the secret.
    advice : str
        How to go on.
    """

    code = "secrets-found"
    status = 409

    def __init__(self, findings: Sequence[object], advice: str = "") -> None:
        self.problems = tuple(findings)
        self.fields = _problem_fields(self.problems)
        lines = ["nothing was sent, since this looks like secrets:", *_list_problems(self.problems)]
        super().__init__("\n".join([*lines, advice] if advice else lines))


_MOST_LISTED = 10


def _problem_fields(problems: Sequence[object]) -> dict[str, list[str]]:
    return {"problems": [str(problem) for problem in problems[:_MOST_REPORTED]]}


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

    code = "unfinished-transfer"
    status = 409

    def __init__(self, done: str, problems: Sequence[PanNeuroError]) -> None:
        self.problems = tuple(problems)
        self.fields = _problem_fields(self.problems)
        super().__init__("\n".join([done, *_list_problems(self.problems)]))
