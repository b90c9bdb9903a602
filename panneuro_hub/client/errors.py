"""What can go wrong between a person's files and the object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from panneuro_hub.errors import PanNeuroError

Kind = Literal["again", "keys", "damaged", "denied", "exists", "missing", "clock", "other"]
"""What a refusal of the store asks for: ``again`` may help soon, ``keys`` with new keys,
``damaged`` arrived otherwise than it was sent; the others are final."""


class StoreError(PanNeuroError):
    """An object store did not do what was asked.

    Parameters
    ----------
    kind : Kind
    message : str
    code : str
        The store's own word for it, such as ``NoSuchUpload``; ``""`` where it said none.
    """

    def __init__(self, kind: Kind, message: str, code: str = "") -> None:
        self.kind = kind
        self.code = code
        super().__init__(message)


class WrongName(PanNeuroError):
    """What was named is no project or dataset; the text says what would be right."""


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


class FileProblem(PanNeuroError):
    """A file of this machine cannot be sent, or cannot be written; the text names it."""


class Conflict(PanNeuroError):
    """Something else is there already, and stays as it is unless ``--update`` is given."""


class NotComplete(PanNeuroError):
    """A dataset without a manifest: its upload is under way, or was broken off."""


class Stopped(PanNeuroError):
    """A transfer was told to stop."""


_SHOWN = 10


class Unfinished(PanNeuroError):
    """Some files could not be transferred; the others were, and are not sent again.

    Parameters
    ----------
    done : str
        What was to be done, as the beginning of a sentence.
    problems : sequence of PanNeuroError
    """

    def __init__(self, done: str, problems: Sequence[PanNeuroError]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:_SHOWN]]
        left = len(self.problems) - _SHOWN
        if left > 0:
            lines.append(f"and {left} more")
        super().__init__("\n".join([done, *(f"  {line}" for line in lines)]))
