"""Where a dataset lies, and whether the session may read or write there, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.catalog import dataset_problem
from panneuro_hub.client.errors import WrongName
from panneuro_hub.errors import AccessDenied
from panneuro_hub.lab.here import covering
from panneuro_hub.names import Location, is_name
from panneuro_hub.wire import Grant, SessionView


@dataclass(frozen=True)
class Name:
    """A project, and a dataset in it or ``""``."""

    project: str
    dataset: str = ""

    @classmethod
    def parse(cls, text: str) -> Name:
        """Read ``PROJECT`` or ``PROJECT/DATASET``.

        Raises
        ------
        WrongName
            If it is neither.
        """
        project, slash, dataset = text.partition("/")
        if not is_name(project):
            raise WrongName(
                f"{project!r} cannot be a project; write PROJECT/DATASET, such as "
                "nhp-navigation/session-12"
            )
        problem = dataset_problem(dataset) if slash else None
        if problem is not None:
            raise WrongName(problem)
        return cls(project, dataset)

    def __str__(self) -> str:
        return f"{self.project}/{self.dataset}" if self.dataset else self.project


def project_place(view: SessionView, project: str) -> Location:
    """Where a project's data lies.

    Raises
    ------
    AccessDenied
        If it cannot be read in this session, with the reason.
    """
    prefix = view.prefixes.get(project)
    if prefix is None:
        readable = ", ".join(view.prefixes) or "nothing"
        told = _reasons(view, f"read {view.prefix if project == view.project else ''}")
        because = told or f"this session is one of {view.project}, which reads {readable}"
        raise AccessDenied(f"{project} cannot be read: {because}")
    return Location.parse(prefix)


def why_not_write(view: SessionView, place: Location) -> str | None:
    """Why nothing can be written at `place`; `None` if something can."""
    grant = covering(view, place)
    if grant is not None and grant.mode == "write":
        return None
    told = _reasons(view, "write ", place)
    if told:
        return told
    return grant.reason if grant else f"it is no place of {view.project}'s"


def frozen_inside(view: SessionView, place: Location) -> list[Grant]:
    """The grants that take writing away somewhere inside `place`."""
    return [
        grant
        for grant in view.grants
        if grant.mode == "read" and place.contains(grant.location) and grant.location != place
    ]


def _reasons(view: SessionView, what: str, place: Location | None = None) -> str:
    return "; ".join(
        dict.fromkeys(
            denial.reason
            for denial in view.denied
            if denial.what.startswith(what)
            and (place is None or place.uri.startswith(denial.what.removeprefix(what)))
        )
    )
