"""Look through the structure of an HDF5 file before a library does, with limits."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py

from panneuro_hub.lab.hdf5.linked_file import LinkedFile, find_object_key
from panneuro_hub.lab.read_errors import BrokenLinkError, UnreadableFileError

_MOST_OBJECTS = 100_000
_MOST_AGAIN = 1_000  # groups that were reached before, on another path
_MOST_NESTED = 100
_MOST_NOTES = 20
# NWB's types that hold other objects, and are whole without one of them. Others need theirs.
_HOLDERS = frozenset(
    (
        *("NWBFile", "ProcessingModule", "LFP", "FilteredEphys", "Fluorescence", "DfOverF"),
        *("Position", "EyeTracking", "PupilTracking", "BehavioralTimeSeries", "Images"),
        *("BehavioralEvents", "BehavioralEpochs", "ImageSegmentation", "CompassDirection"),
    )
)


@dataclass
class FileSurvey:
    """What an HDF5 file has in it.

    Parameters
    ----------
    groups : list of str
        The paths of all groups, from the root down.
    notes : list of str
        What cannot be read, and why.
    hidden : dict
        The names of these, by the key of the group (see `find_object_key`).
    references : bool
        Whether datasets refer to other objects.
    tables : list of str
        The paths of tables of PyTables and of what pandas stored with it.
    """

    groups: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hidden: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    references: bool = False
    tables: list[str] = field(default_factory=list)

    def hide(self, key: tuple[str, int], name: str, note: str) -> None:
        """Leave a name out of a group."""
        self.hidden[key] = self.hidden.get(key, frozenset()) | {name}
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(note)


@dataclass(frozen=True)
class _Visit:
    """A group on the way through a file."""

    group: Any
    path: str
    key: tuple[str, int]
    above: tuple[_Visit, ...]

    def child(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"


def survey_file(file: LinkedFile) -> FileSurvey:
    """Look at every group and dataset of a file, and at what its links lead to.

    Raises
    ------
    UnreadableFileError
        If there are too many, or groups are nested too deeply. Links count as well, because
        a few groups that link to each other stand for any number of paths.
    """
    found = FileSurvey()
    pandas = "PYTABLES_FORMAT_VERSION" in file.attrs
    waiting = deque([_Visit(file, "/", find_object_key(file), ())])
    count = 0
    seen: Counter[tuple[str, int]] = Counter()
    while waiting:
        visit = waiting.popleft()
        found.groups.append(visit.path)
        seen[visit.key] += 1
        if seen.total() - len(seen) > _MOST_AGAIN:
            raise _too_much(file, f"more than {_MOST_AGAIN:,} further paths to the same groups")
        if pandas and "pandas_type" in visit.group.attrs:
            found.tables.append(visit.path)
        for name, node in _children(visit, found):
            count += 1
            if count > _MOST_OBJECTS:
                raise _too_much(file, f"more than {_MOST_OBJECTS:,} groups, datasets and links")
            if isinstance(node, h5py.Group):
                _descend(visit, name, node, found, waiting)
            elif isinstance(node, h5py.Dataset):
                _note_dataset(visit, name, node, found)
    return found


def _too_much(file: LinkedFile, what: str) -> UnreadableFileError:
    path = file.source.place.path
    return UnreadableFileError(
        f"{path!r} has {what}; lab.open({path!r}, engine='h5py') reads parts of it"
    )


def _children(visit: _Visit, found: FileSurvey) -> Iterator[tuple[str, Any]]:
    for raw in visit.group.id:
        name = raw.decode("utf-8", "surrogateescape")
        try:
            yield name, visit.group[name]
        except (KeyError, OSError, ValueError, RuntimeError, UnreadableFileError) as problem:
            _leave_out(visit, name, f"{visit.child(name)}, {_reason(problem)}", found)


def _reason(problem: Exception) -> str:
    if isinstance(problem, BrokenLinkError):
        return f"which needs {problem.cause}"
    text = problem.args[0] if isinstance(problem, KeyError) and problem.args else problem
    return f"which cannot be read: {text}"


def _leave_out(visit: _Visit, name: str, note: str, found: FileSurvey) -> None:
    holder = visit
    kind = visit.group.attrs.get("neurodata_type")
    if kind is not None and kind not in _HOLDERS and visit.above:
        # An object of NWB without one of its parts is none.
        holder, name = visit.above[-1], visit.path.rpartition("/")[2]
    found.hide(holder.key, name, note)


def _descend(
    visit: _Visit, name: str, node: Any, found: FileSurvey, waiting: deque[_Visit]
) -> None:
    path = visit.child(name)
    key = find_object_key(node)
    if key == visit.key or any(key == one.key for one in visit.above):
        found.hide(visit.key, name, f"{path}, which leads back to a group that it lies in")
        return
    above = (*visit.above, visit)
    if len(above) > _MOST_NESTED:
        what = f"groups that are nested more than {_MOST_NESTED} deep"
        raise _too_much(node.owner, what)
    waiting.append(_Visit(node, path, key, above))


def _note_dataset(visit: _Visit, name: str, node: Any, found: FileSurvey) -> None:
    found.references = found.references or node.has_references
    if node.attrs.get("CLASS") in (b"TABLE", "TABLE"):
        found.tables.append(visit.child(name))
