"""Publishing notebooks to a project, finding those of others, and fetching copies."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from panneuro_hub.catalog import notebook_store
from panneuro_hub.catalog.data_references import (
    NotebookReferences,
    find_references,
    resolve_references,
)
from panneuro_hub.catalog.dataset_keys import CATALOG_FOLDER, parse_dataset_key
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.notebook_file import NotebookFile, find_open_problem
from panneuro_hub.catalog.notebook_records import (
    LARGEST_NOTEBOOK,
    LAST_NUMBER,
    LONGEST_LINE,
    MOST_DATASETS,
    NotebookRecord,
    find_notebook_problem,
    make_notebook_folder,
    split_label,
)
from panneuro_hub.catalog.stored_keys import list_stored_keys
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.client import api
from panneuro_hub.client.connection import StoreConnection, is_in_session, open_connection
from panneuro_hub.client.dataset_names import DatasetName, explain_no_write, find_project_prefix
from panneuro_hub.client.environment import describe_environment
from panneuro_hub.client.local_files import (
    describe_os_error,
    open_unchanged,
    read_whole,
    scan_folder,
)
from panneuro_hub.client.path_text import format_path
from panneuro_hub.client.secret_scan import SecretFinding, scan_notebook
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.prefix_objects import PrefixObjects
from panneuro_hub.client.transfer_errors import (
    FileConflictError,
    LocalFileError,
    SecretsFoundError,
    StoreError,
    WrongNameError,
)
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.lab import current_session
from panneuro_hub.names import StorageLocation, is_name
from panneuro_hub.wording import denied_for

T = TypeVar("T")

_ENDING = ".ipynb"
_LONGEST_STEM = 100  # characters
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._=+,-]+")
_MOST_COPIES = 1000


@dataclass(frozen=True)
class NotebookDescription:
    """The description of a notebook that a person gives; `None` for omitted fields.

    Parameters
    ----------
    title, description : str or None
        By default the notebook's first heading, and the description of the previous version.
    note : str or None
        The changes of this version.
    datasets : tuple of str
        Datasets that it reads in addition to those that its code names, such as
        ``nhp-navigation/session-12``.
    """

    title: str | None = None
    description: str | None = None
    note: str | None = None
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShareResult:
    """The result of sharing a notebook.

    Parameters
    ----------
    published : NotebookRecord
        The version in the store; for a dry run, the version that would be published.
    is_new : bool
        Whether it was not there before.
    notes : tuple of str
        What the person should know.
    secrets : tuple of SecretFinding
        What looks like a secret in the notebook.
    """

    published: NotebookRecord
    is_new: bool
    notes: tuple[str, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()


@dataclass(frozen=True)
class NotebookCopy:
    """A copy of a version, and where it lies now."""

    published: NotebookRecord
    path: Path


def share_notebook(
    path: Path,
    name: str | None = None,
    said: NotebookDescription | None = None,
    *,
    dry: bool = False,
    allow_secrets: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> ShareResult:
    """Publish a notebook; what was published before stays as it is.

    Parameters
    ----------
    path : Path
    name : str, optional
        ``PROJECT/NAME`` or ``PROJECT``; without it, the session's project and the name
        of the file.
    said : NotebookDescription, optional
    dry : bool
        Only find out what would be published.
    allow_secrets : bool
        Whether a notebook with what looks like a secret is published.
    tell : callable
        Told what is waited for.

    Raises
    ------
    WrongNameError
        If `name` is none.
    LocalFileError
        If the file cannot be read, or is no notebook that JupyterLab opens.
    MalformedRecordError
        If what is said of it cannot be.
    SecretsFoundError
        If something in it looks like a secret.
    AccessDeniedError
        If nothing can be published there, with the reason.
    StoreError, Crowded, ServiceUnavailable
        If the store does not take it.
    """
    project, own = _parse_target(name)
    own = own or _derive_name(path)
    said = said or NotebookDescription()
    for dataset in said.datasets:
        if not DatasetName.parse(dataset).dataset:
            raise WrongNameError(
                f"{dataset!r} names no dataset; write {dataset}/NAME-OF-THE-DATASET"
            )
    data, notebook = _read_notebook(path)
    secrets = tuple(scan_notebook(path.name, notebook))
    if secrets and not dry and not allow_secrets:
        raise SecretsFoundError(secrets)
    with _open_project(project, writing=True, tell=tell) as shelf:
        return replace(shelf.share(own, data, notebook, said, dry=dry), secrets=secrets)


def copy_notebook(
    name: str, target: Path | None = None, *, tell: Callable[[str], None] = lambda _: None
) -> NotebookCopy:
    """Fetch a notebook; nothing that is here is overwritten.

    Parameters
    ----------
    name : str
        ``PROJECT/NAME``, or ``PROJECT/NAME@3`` for a version that is not the newest.
    target : Path, optional
        A folder, in which a free name is found, or the file that is to be written;
        the current folder where not given.

    Raises
    ------
    WrongNameError
        If `name` is none.
    NotPublished
        If there is no such notebook.
    MalformedRecordError
        If it is damaged, or was replaced in the store.
    FileConflictError
        If `target` is a file that is there.
    LocalFileError
        If it cannot be written.
    AccessDeniedError, StoreError, ServiceUnavailable
        If it cannot be read.
    """
    text, number = split_label(name)
    project, own = _parse_target(text)
    if own is None:
        raise WrongNameError(f"{name!r} names no notebook; write {project}/NAME-OF-THE-NOTEBOOK")
    with _open_project(project, writing=False, tell=tell) as shelf:
        published, data = shelf.fetch(own, number)
    return NotebookCopy(published, _write_copy(data, own.rpartition("/")[2], target))


def read_notebook_listing(project: str) -> notebook_store.NotebookListing:
    """The notebooks of a project; raises as `copy_notebook`."""
    if not is_name(project):
        raise WrongNameError(f"{project!r} cannot be a project")
    with _open_project(project, writing=False) as shelf:
        return shelf.listing()


def list_notebooks(project: str | None = None) -> api.ListingTable:
    """The notebooks of a project, or of all that the person may read, for people and programs."""
    each, problems = (
        api.query_all_projects(read_notebook_listing)
        if project is None
        else ({project: read_notebook_listing(project)}, [])
    )
    everything = [notebook for found in each.values() for notebook in found.notebooks]
    problems += [f"{name}: {trouble}" for name, found in each.items() for trouble in found.problems]
    versions = [version.to_json() for notebook in everything for version in notebook.versions]
    return api.ListingTable(
        [_make_row(notebook.latest) for notebook in everything],
        {"notebooks": versions, "troubles": problems},
        tuple(problems),
    )


def _make_row(published: NotebookRecord) -> tuple[str, ...]:
    return (
        published.label,
        f"{published.created:%Y-%m-%d}",
        published.created_by,
        published.title,
    )


class _ProjectNotebooks:
    """The notebooks of one project, and the connection through which they are reached."""

    def __init__(
        self, connection: StoreConnection, project: str, retry_policy: RetryPolicy
    ) -> None:
        self._connection = connection
        self._view = connection.view
        self._project = project
        self._place = find_project_prefix(connection.view, project)
        self._retry_policy = retry_policy
        self._objects = PrefixObjects(connection.view, connection.keys, self._place)

    def close(self) -> None:
        self._objects.close()

    def share(
        self,
        name: str,
        data: bytes,
        notebook: NotebookFile,
        said: NotebookDescription,
        *,
        dry: bool,
    ) -> ShareResult:
        self._may_write(name)
        before = self._latest(name)
        environment, note = describe_environment(notebook)
        datasets, notes = self._datasets(notebook, said)
        picture = notebook.picture()
        about = NotebookRecord(
            project=self._project,
            name=name,
            number=min(before.number + 1, LAST_NUMBER) if before else 1,
            created=datetime.now(UTC),
            created_by=self._view.user,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            title=_first_line(
                said.title, notebook.title[:LONGEST_LINE], before.title if before else None
            ),
            description=_first_line(said.description, before.description if before else None),
            note=said.note or "",
            environment=environment,
            datasets=datasets,
            preview_sha256=hashlib.sha256(picture).hexdigest() if picture else None,
        )
        notes = [*([note] if note else []), *notes]
        if before is not None:
            kept = replace(about, note=before.note) if said.note is None else about
            if before.has_same_content(kept):
                return ShareResult(before, is_new=False, notes=tuple(notes))
        if not dry:
            about = self._ask(
                f"publishing {self._project}/{name}",
                lambda: notebook_store.publish_version(self._objects.store, data, about, picture),
            )
        return ShareResult(about, is_new=True, notes=tuple(notes))

    def fetch(self, name: str, number: int | None) -> tuple[NotebookRecord, bytes]:
        def get() -> tuple[NotebookRecord, bytes]:
            store = self._objects.store
            found = notebook_store.find_version(store, self._project, name, number)
            return found, notebook_store.read_notebook(store, found)

        return self._ask(f"fetching {self._project}/{name}", get)

    def listing(self) -> notebook_store.NotebookListing:
        what = f"the notebooks of {self._project}"
        return self._ask(
            what, lambda: notebook_store.list_notebooks(self._objects.store, self._project)
        )

    def _may_write(self, name: str) -> None:
        place = StorageLocation(
            self._place.bucket, f"{self._place.key}{make_notebook_folder(name)}"
        )
        reasons = explain_no_write(self._view, place)
        if reasons:
            raise denied_for(reasons, f"nothing can be published in {self._project}")

    def _latest(self, name: str) -> NotebookRecord | None:
        found = self._ask(
            f"the notebooks of {self._project}",
            lambda: notebook_store.read_history(self._objects.store, self._project, name),
        )
        return found.notebooks[0].latest if found.notebooks else None

    def _datasets(
        self, notebook: NotebookFile, said: NotebookDescription
    ) -> tuple[tuple[str, ...], list[str]]:
        view = self._view
        found = resolve_references(
            find_references(notebook), view.prefixes, self._known, view.scratch
        )
        every = dict.fromkeys([*said.datasets, *found.datasets])
        kept = tuple(itertools.islice(every, MOST_DATASETS))
        return tuple(sorted(kept)), [
            *_describe_references(found),
            *_describe_rest(len(every) - len(kept)),
        ]

    def _known(self, project: str) -> frozenset[str]:
        """The names of a project's datasets; none where they cannot be listed now."""
        objects = PrefixObjects(
            self._view, self._connection.keys, find_project_prefix(self._view, project)
        )
        with suppress(StoreError):
            return objects.guarded(
                f"the catalog of {project}",
                lambda: frozenset(
                    name
                    for key in list_stored_keys(objects.store, CATALOG_FOLDER)
                    if (name := parse_dataset_key(key.path)) is not None
                ),
            )
        return frozenset()

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return self._retry_policy.call_with_retries(partial(self._objects.guarded, what, call))
        except StoreError as failure:
            if failure.kind != "denied":
                raise
            raise AccessDeniedError(
                f"{failure}, though this session should be let; its rights may have changed just "
                "now, or the store's own policy is narrower"
            ) from failure


@contextmanager
def _open_project(
    project: str, *, writing: bool, tell: Callable[[str], None] = lambda _: None
) -> Iterator[_ProjectNotebooks]:
    with open_connection(project, writing=writing) as connection:
        shelf = _ProjectNotebooks(connection, project, RetryPolicy(note=tell))
        try:
            yield shelf
        finally:
            shelf.close()


def _parse_target(text: str | None) -> tuple[str, str | None]:
    """A project, and the name of a notebook where there is one."""
    if text is None:
        if not is_in_session():
            raise WrongNameError(
                "name the project, such as nhp-navigation/tuning-curves; only a server of the hub "
                "has one of its own"
            )
        return current_session.session().project, None
    project, slash, name = text.partition("/")
    if not is_name(project):
        raise WrongNameError(
            f"{project!r} cannot be a project; write PROJECT/NAME, such as "
            "nhp-navigation/tuning-curves"
        )
    problem = find_notebook_problem(name) if slash else None
    if problem is not None:
        raise WrongNameError(problem)
    return project, name if slash else None


def _derive_name(path: Path) -> str:
    stem = path.name.removesuffix(_ENDING)
    name = _NOT_IN_NAMES.sub("-", stem).strip(".-")[:_LONGEST_STEM].rstrip(".-")
    if not name:
        raise WrongNameError(
            f"{format_path(path.name)} leaves nothing that can be a name; write "
            "PROJECT/NAME after it"
        )
    return name


def _read_notebook(path: Path) -> tuple[bytes, NotebookFile]:
    if path.is_dir():
        raise LocalFileError(f"{format_path(str(path))}: it is a folder; name one notebook")
    found = scan_folder(path)
    if found.problems:
        raise found.problems[0]
    (file,) = found.files
    if file.size > LARGEST_NOTEBOOK:
        raise LocalFileError(
            f"{format_path(str(path))}: it has {format_size(file.size)}, and a notebook can have "
            f"{format_size(LARGEST_NOTEBOOK)}; clear its large outputs, or keep their data in a "
            "dataset"
        )
    with open_unchanged(file) as opened:
        data = read_whole(opened, file, file.size)
    try:
        notebook = NotebookFile.decode(data)
    except MalformedRecordError as malformed:
        raise LocalFileError(f"{format_path(str(path))}: {malformed}") from malformed
    problem = find_open_problem(data)
    if problem is not None:
        raise LocalFileError(f"{format_path(str(path))}: nobody could open it, since {problem}")
    return data, notebook


def _write_copy(data: bytes, name: str, target: Path | None) -> Path:
    folder = target if target is not None and target.is_dir() else None
    if target is not None and folder is None:
        if not write_new_file(target, data):
            raise FileConflictError(
                f"{format_path(str(target))} is there already, and stays as it is"
            )
        return target
    for number in range(_MOST_COPIES):
        place = (folder or Path()) / f"{name}{f'-{number}' if number else ''}{_ENDING}"
        if write_new_file(place, data):
            return place
    raise FileConflictError(f"there are {_MOST_COPIES} copies of {name} here already; name a file")


def write_new_file(place: Path, data: bytes) -> bool:
    """Write a file that is not there; give `False` where anything has its name, a link too.

    Raises
    ------
    LocalFileError
        If it cannot be written.
    """
    try:
        with place.open("xb") as out:
            try:
                out.write(data)
                out.flush()
            except OSError:
                place.unlink(missing_ok=True)
                raise
    except FileExistsError:
        return False
    except OSError as problem:
        raise LocalFileError(
            f"{format_path(str(place))}: {describe_os_error(problem)}"
        ) from problem
    return True


def _first_line(*texts: str | None) -> str:
    return next((text for text in texts if text is not None and text != ""), "")


def _describe_references(found: NotebookReferences) -> Iterator[str]:
    if found.scratch:
        yield "it reads your scratch, which nobody else can read"
    if found.unclear:
        yield (
            f"it makes names of data while it runs ({', '.join(found.unclear[:5])}…); name the "
            "datasets with --dataset, so that readers learn which they need"
        )


def _describe_rest(count: int) -> Iterator[str]:
    if count > 0:
        yield f"it names {count} datasets more than the {MOST_DATASETS} that are recorded"
