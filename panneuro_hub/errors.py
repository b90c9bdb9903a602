"""What can go wrong, in words for the person who meets it.

Every error of this package derives from `PanNeuroError`. Its text says what
happened, which key or name it concerns and what to do; it never holds a secret.
Errors of other libraries are translated once, where they enter, and kept as
``__cause__``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


class PanNeuroError(Exception):
    """Base of all errors of this package; its text is meant for people.

    Attributes
    ----------
    code : str
        The stable name of the class. Programs compare codes, and never read the text.
    status : int or None
        The HTTP status of an answer that is this error; `None` for an error that no request
        can cause.
    fields : mapping
        What else a program may want to know, as a JSON object.
    retry_after : float or None
        Seconds after which the same request makes sense.

    Notes
    -----
    `panneuro_hub.wire.refusal` turns an error into an answer. In a notebook an error
    takes one line, because its text says all that the person needs.
    ``%tb`` still shows the whole traceback.
    """

    code: str = "error"
    status: int | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    retry_after: float | None = None

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        """Return the function that IPython calls for the lines to show in place of a traceback.

        Raises
        ------
        AttributeError
            While the error is not being handled: ``%tb`` and debuggers then find no such function,
            and IPython makes the whole traceback.
        """
        if sys.exc_info()[1] is not self:
            raise AttributeError("the whole traceback is shown")
        return lambda: [f"{type(self).__name__}: {_one_line(str(self))}"]


def _one_line(text: str) -> str:
    # Names from outside may have control characters, which a terminal or a notebook obeys.
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


@dataclass(frozen=True, order=True)
class FileProblem:
    """One thing that is wrong in a collaboration file.

    Parameters
    ----------
    file : str
        The file as the user named it.
    line : int
        Line of the offending key, counted from 1.
    key : str
        Dotted path of the key, such as ``projects.nhp-navigation.teams``.
    message : str
        What is wrong and what would be right.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.message}" if self.key else where + self.message


class CollaborationError(PanNeuroError):
    """A collaboration file cannot be used; holds every problem found in it.

    Parameters
    ----------
    problems : tuple of FileProblem
        All problems, in the order of the file.
    """

    code = "invalid-collaboration"

    def __init__(self, problems: tuple[FileProblem, ...]) -> None:
        self.problems = problems
        self.fields = {"problems": [str(problem) for problem in problems]}
        super().__init__("\n".join(str(problem) for problem in problems))


class DecisionError(PanNeuroError):
    """A decision went against a person; holds its reasons as data.

    Parameters
    ----------
    message : str
        The sentence for the person.
    fields : mapping, optional
        The decision as a JSON object: its target, and ``reasons`` with codes.
    """

    code = "decision"

    def __init__(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        self.fields = fields or {}
        super().__init__(message)

    @property
    def reason_codes(self) -> tuple[str, ...]:
        """The codes of the reasons, as far as there are any."""
        # The fields may come from another process.
        given = self.fields.get("reasons")
        reasons = given if isinstance(given, list | tuple) else ()
        return tuple(
            str(each["code"]) for each in reasons if isinstance(each, dict) and "code" in each
        )


class AccessDeniedError(DecisionError):
    """A person may not do what was asked; the text says why."""

    code = "access-denied"
    status = 403


class InvalidChoiceError(DecisionError):
    """What was chosen for a start cannot be understood; the text says what would be right."""

    code = "invalid-choice"
    status = 400


class InvalidArgumentError(PanNeuroError, ValueError):
    """A function got an argument that it cannot use; the text says what would be right."""

    code = "invalid-argument"
    status = 400


class MissingPackageError(PanNeuroError, ImportError):
    """A package is needed and not installed; the text names it, and the extra that brings it."""

    code = "missing-package"
    status = 503


class TicketRefusedError(PanNeuroError):
    """A ticket is unreadable, unknown, or its session has ended."""

    code = "ticket-refused"
    status = 403


class VendingError(PanNeuroError):
    """An object store did not make a credential.

    Parameters
    ----------
    message : str
        What happened and what to do.
    retry_after : float, optional
        Seconds after which asking again makes sense; `None` where asking again
        cannot help until somebody changes a setting.
    """

    code = "vending-failed"
    status = 503

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ServiceUnavailableError(PanNeuroError):
    """A part that is needed for an answer (hub, ledger, service) is out of reach for now."""

    code = "service-unavailable"
    status = 503


class SettingsError(PanNeuroError):
    """Settings of the admin's own cannot work with ours; the text names each key."""

    code = "invalid-settings"
