"""Names of datasets, and the session's rights to read or write them, with reasons."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.catalog import find_dataset_problem
from panneuro_hub.client.transfer_errors import WrongNameError
from panneuro_hub.lab.current_session import find_covering_grant, why_not_read
from panneuro_hub.names import StorageLocation, is_name
from panneuro_hub.wire import Denial, Grant, Reason, SessionView
from panneuro_hub.wording import denied


@dataclass(frozen=True)
class DatasetName:
    """A project, and a dataset in it or ``""``."""

    project: str
    dataset: str = ""

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Read ``PROJECT`` or ``PROJECT/DATASET``.

        Raises
        ------
        WrongNameError
            If it is neither.
        """
        project, slash, dataset = text.partition("/")
        if not is_name(project):
            raise WrongNameError(
                f"{project!r} cannot be a project; write PROJECT/DATASET, such as "
                "nhp-navigation/session-12"
            )
        problem = find_dataset_problem(dataset) if slash else None
        if problem is not None:
            raise WrongNameError(problem)
        return cls(project, dataset)

    def __str__(self) -> str:
        return f"{self.project}/{self.dataset}" if self.dataset else self.project


def find_project_prefix(view: SessionView, project: str) -> StorageLocation:
    """Return the prefix of a project's data.

    Raises
    ------
    AccessDenied
        If it cannot be read in this session, with the reason.
    """
    prefix = view.prefixes.get(project)
    if prefix is None:
        raise denied(Denial("read", "project", project, project, why_not_read(view, project)))
    return StorageLocation.parse(prefix)


def explain_no_write(view: SessionView, place: StorageLocation) -> tuple[Reason, ...]:
    """Return why nothing can be written at `place`; nothing if something can."""
    grant = find_covering_grant(view, place)
    if grant is not None and grant.mode == "write":
        return ()
    told = [
        reason
        for denial in view.denied
        if denial.covers("write", place)
        for reason in denial.reasons
    ]
    if told:
        return tuple(dict.fromkeys(told))
    if grant is None:
        return (Reason("outside-session", view.project, place=place.uri),)
    return grant.reasons


def require_write(view: SessionView, place: StorageLocation, name: str) -> None:
    """Refuse a place where nothing can be written.

    Parameters
    ----------
    name : str
        The place as the person wrote it.

    Raises
    ------
    AccessDenied
        If nothing can be written there, with the reasons.
    """
    reasons = explain_no_write(view, place)
    if reasons:
        raise denied(Denial("write", "prefix", name, view.project, reasons))


def list_frozen_grants(view: SessionView, place: StorageLocation) -> list[Grant]:
    """The grants that take writing away somewhere inside `place`."""
    return [
        grant
        for grant in view.grants
        if grant.mode == "read" and place.contains(grant.location) and grant.location != place
    ]
