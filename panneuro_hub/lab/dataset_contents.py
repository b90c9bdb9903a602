"""List the files of a dataset by subject, and open each of them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from panneuro_hub.catalog.formats import OpenableItem, list_items
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.lab.current_session import PathNotFoundError
from panneuro_hub.lab.object_file import ObjectFile, open_object_file
from panneuro_hub.lab.paths import StoragePath
from panneuro_hub.lab.text_tables import clean_line, format_html_table, format_table

if TYPE_CHECKING:
    from panneuro_hub.catalog import Manifest

_SUBJECT = re.compile(r"sub-[0-9A-Za-z+]+")
_MAX_ROWS = 20  # rows
_REST = "(for all)"


@dataclass(frozen=True)
class DatasetFile:
    """One object of a dataset.

    Parameters
    ----------
    path : str
        The path relative to the dataset.
    size : int
        The size in bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, repr=False)
class Dataset:
    """A dataset, or a folder in one; iterates over its paths, and prints its subjects.

    Parameters
    ----------
    path : str
        The path as `lab.open` takes it.
    files : tuple of DatasetFile
        All its files, in the order of their paths.
    manifest : Manifest or None
        The description of the dataset; `None` for a folder that does not belong to a dataset.
    subject : str or None
        The subject to which `of` has limited the files.
    """

    path: str
    files: tuple[DatasetFile, ...]
    manifest: Manifest | None
    subject: str | None = None
    _place: StoragePath = field(kw_only=True, compare=False)
    _reader: Callable[..., Any] = field(kw_only=True, compare=False)

    @property
    def title(self) -> str:
        """Return the title, or the path if there is no title."""
        return (self.manifest.title if self.manifest else "") or self.path

    @property
    def size(self) -> int:
        """Return the size of all files in bytes."""
        return sum(entry.size for entry in self.files)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return the subjects that have a folder in the dataset, such as ``sub-01``."""
        return tuple(sorted(set(map(_find_subject, self._paths())) - {""}))

    @property
    def things(self) -> tuple[OpenableItem, ...]:
        """Return the items to open: files, and each Zarr hierarchy or partitioned table."""
        return list_items(self._paths())

    def of(self, subject: str) -> Dataset:
        """Return the files of one subject: ``of("01")`` is ``of("sub-01")``.

        Raises
        ------
        PathNotFoundError
            If there is no such subject.
        """
        wanted = subject if subject.startswith("sub-") else f"sub-{subject}"
        files = tuple(entry for entry in self.files if _find_subject(entry.path) == wanted)
        if not files:
            known = ", ".join(self.subjects[:_MAX_ROWS]) or "no subjects"
            raise PathNotFoundError(f"{self.path} has no {wanted!r}; it has {known}")
        return replace(self, files=files, subject=wanted)

    def find(self, pattern: str) -> tuple[str, ...]:
        """Return matching paths, such as ``find("*_bold.nii.gz")``; ``*`` also matches ``/``."""
        return tuple(
            thing.path
            for thing in self.things
            if fnmatchcase(thing.path, pattern)
            or fnmatchcase(thing.path.rpartition("/")[2], pattern)
        )

    def open(self, path: str, **kwargs: Any) -> Any:
        """Open one path in the dataset, as `lab.open` does.

        Raises
        ------
        PathNotFoundError
            If the dataset has nothing of that path.
        """
        return self._reader(self._place.below(self._known(path)), **kwargs)

    def file(self, path: str) -> ObjectFile:
        """Return one file as a seekable file, for libraries that take files.

        Raises
        ------
        PathNotFoundError
            If the dataset has nothing of that path.
        """
        inside = self._place.below(self._known(path))
        return open_object_file(inside.store, inside.place, inside.key)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths())

    def __contains__(self, path: object) -> bool:
        return path in set(self._paths())

    def __repr__(self) -> str:
        lines = [clean_line(line) for line in self._about()]
        return "\n".join([*lines, *format_table(self._rows(), 2)])

    def _repr_html_(self) -> str:
        lines = "".join(f"<div>{html.escape(clean_line(line))}</div>" for line in self._about())
        return lines + format_html_table(self._rows())

    def _about(self) -> list[str]:
        about = f"{self.path}, {len(self.files)} files, {format_size(self.size)}"
        return [self.title, f"{about}, of {self.subject}" if self.subject else about]

    def _rows(self) -> list[dict[str, str]]:
        if self.subject is None and self.subjects:
            return _shorten_rows(list(_group_by_subject(self.files)))
        return _shorten_rows(
            [{"path": entry.path, "size": format_size(entry.size)} for entry in self.files]
        )

    def _paths(self) -> list[str]:
        return [entry.path for entry in self.files]

    def _known(self, path: str) -> str:
        wanted = path.strip("/")
        if any(one.path == wanted or one.path.startswith(f"{wanted}/") for one in self.files):
            return wanted
        raise PathNotFoundError(
            f"{self.path} has nothing at {path!r}; .find('*part-of-the-name*') lists what it has"
        )


def _find_subject(path: str) -> str:
    first, slash, _ = path.partition("/")
    return first if slash and _SUBJECT.fullmatch(first) else ""


def _group_by_subject(files: Iterable[DatasetFile]) -> Iterator[dict[str, str]]:
    found: dict[str, list[DatasetFile]] = {}
    for entry in files:
        found.setdefault(_find_subject(entry.path), []).append(entry)
    for subject, entries in sorted(found.items()):
        yield {
            "subject": subject or _REST,
            "files": str(len(entries)),
            "size": format_size(sum(entry.size for entry in entries)),
        }


def _shorten_rows(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(rows) <= _MAX_ROWS:
        return rows
    more = dict.fromkeys(rows[0], "")
    more[next(iter(more))] = f"… and {len(rows) - _MAX_ROWS + 1} more"
    return [*rows[: _MAX_ROWS - 1], more]
