"""Find the other files of a dataset that one of its files refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from panneuro_hub.catalog.dataset_keys import RECORDS_FOLDER
from panneuro_hub.catalog.dataset_records import read_manifest
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.lab.current_session import PathNotFoundError
from panneuro_hub.lab.object_file import ObjectFile, open_object_file
from panneuro_hub.lab.paths import StoragePath
from panneuro_hub.lab.read_errors import BrokenLinkError

_OUTSIDE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]|[A-Za-z][A-Za-z0-9+.-]*://|file:")


def resolve_link(origin: str, name: str) -> str:
    """Return the path that a file means by the name of another file.

    Nothing here looks at the machine's own files or its environment: a name is relative to
    the folder of the file that holds it, and stays below the dataset.

    Parameters
    ----------
    origin : str
        The path of the file that holds the name, relative to the dataset.
    name : str
        The name as it is written there.

    Raises
    ------
    BrokenLinkError
        If the name leads out of the dataset.
    """
    if _OUTSIDE.match(name):
        raise BrokenLinkError(f"{name!r}, which is outside the dataset and is never read")
    folders = origin.split("/")[:-1]
    for segment in name.split("/"):
        if segment == "..":
            if not folders:
                raise BrokenLinkError(f"{name!r}, which is outside the dataset and is never read")
            folders.pop()
        elif segment not in ("", "."):
            folders.append(segment)
    if not folders or RECORDS_FOLDER in folders or not _is_text(name):
        raise BrokenLinkError(f"{name!r}, which is not a file of the dataset")
    return "/".join(folders)


def _is_text(name: str) -> bool:
    return name.isprintable() and "\ufffd" not in name


@dataclass(frozen=True)
class DatasetLinks:
    """The files of a dataset, for links from one of them to another.

    Parameters
    ----------
    root : StoragePath
        The dataset, or the project's prefix for a file that belongs to no dataset.
    dataset : str or None
        Its key. Only files of its manifest are neighbours.
    """

    root: StoragePath
    dataset: str | None

    def open(self, origin: ObjectFile, name: str) -> ObjectFile:
        """Open the file that `origin` calls `name`, with the session's own credentials.

        Raises
        ------
        BrokenLinkError
            If the name leads out of the dataset, or to no file of it.
        AccessDeniedError, ServiceUnavailableError
            As for `plainly`.
        """
        below = f"{self.root.key}/" if self.root.key else ""
        path = resolve_link(origin.key.removeprefix(below), name)
        if self._listed is not None and path not in self._listed:
            raise BrokenLinkError(f"{name!r}, which is not a file of {self.root.path}")
        target = self.root.below(path)
        try:
            return open_object_file(target.store, target.place, target.key, self)
        except PathNotFoundError as missing:
            raise BrokenLinkError(f"{name!r}, and there is no {target.path!r}") from missing

    @cached_property
    def _listed(self) -> frozenset[str] | None:
        if self.dataset is None:
            return None
        try:
            manifest = read_manifest(self.root.store, self.dataset)
        except MalformedRecordError as problem:
            raise BrokenLinkError(
                f"the manifest of {self.root.path} is damaged, so its files are not known"
            ) from problem
        return frozenset(file.path for file in manifest.files) if manifest else frozenset()
