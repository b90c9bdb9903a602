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

from panneuro_hub.catalog import notebooks
from panneuro_hub.catalog.ipynb import Ipynb, openable_problem
from panneuro_hub.catalog.keys import CATALOG, dataset_of
from panneuro_hub.catalog.published import (
    LARGEST_NOTEBOOK,
    LAST_NUMBER,
    LONGEST_LINE,
    MOST_DATASETS,
    Published,
    folder_of,
    notebook_problem,
    split_label,
)
from panneuro_hub.catalog.reading import Malformed
from panneuro_hub.catalog.stored_keys import keys_below
from panneuro_hub.catalog.touched import Touched, texts, touched
from panneuro_hub.catalog.words import size_text
from panneuro_hub.client import run
from panneuro_hub.client.connection import Connection, connected, in_session
from panneuro_hub.client.crew import Patience
from panneuro_hub.client.errors import (
    Conflict,
    FileProblem,
    SecretsFoundError,
    StoreError,
    WrongName,
)
from panneuro_hub.client.files import find, read_whole, reason, unchanged
from panneuro_hub.client.objects import Objects
from panneuro_hub.client.places import Name, project_place, why_not_write
from panneuro_hub.client.secret_scan import SecretFinding, scan_notebook
from panneuro_hub.client.shown_paths import shown
from panneuro_hub.client.surroundings import environment_of
from panneuro_hub.errors import AccessDenied
from panneuro_hub.lab import here
from panneuro_hub.names import Location, is_name
from panneuro_hub.wording import denied_for

T = TypeVar("T")

_ENDING = ".ipynb"
_LONGEST_STEM = 100  # characters
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._=+,-]+")
_MOST_COPIES = 1000


@dataclass(frozen=True)
class Said:
    """What a person says of a notebook; `None` for what they do not.

    Parameters
    ----------
    title, description : str or None
        Else the notebook's first heading, and what was said of the version before.
    note : str or None
        What is new in this version.
    datasets : tuple of str
        What it reads besides those that its code names, such as
        ``nhp-navigation/session-12``.
    """

    title: str | None = None
    description: str | None = None
    note: str | None = None
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shared:
    """What sharing came to.

    Parameters
    ----------
    published : Published
        The version that is there now; of a dry run, the one that would be.
    is_new : bool
        Whether it was not there before.
    notes : tuple of str
        What the person should know.
    secrets : tuple of SecretFinding
        What looks like a secret in the notebook.
    """

    published: Published
    is_new: bool
    notes: tuple[str, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()


@dataclass(frozen=True)
class Copied:
    """A copy of a version, and where it lies now."""

    published: Published
    path: Path


def share(
    path: Path,
    name: str | None = None,
    said: Said | None = None,
    *,
    dry: bool = False,
    allow_secrets: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Shared:
    """Publish a notebook; what was published before stays as it is.

    Parameters
    ----------
    path : Path
    name : str, optional
        ``PROJECT/NAME`` or ``PROJECT``; without it, the session's project and the name
        of the file.
    said : Said, optional
    dry : bool
        Only find out what would be published.
    allow_secrets : bool
        Whether a notebook with what looks like a secret is published.
    tell : callable
        Told what is waited for.

    Raises
    ------
    WrongName
        If `name` is none.
    FileProblem
        If the file cannot be read, or is no notebook that JupyterLab opens.
    Malformed
        If what is said of it cannot be.
    SecretsFoundError
        If something in it looks like a secret.
    AccessDenied
        If nothing can be published there, with the reason.
    StoreError, Crowded, ServiceUnavailable
        If the store does not take it.
    """
    project, own = _target(name)
    own = own or _name_of(path)
    said = said or Said()
    for dataset in said.datasets:
        if not Name.parse(dataset).dataset:
            raise WrongName(f"{dataset!r} names no dataset; write {dataset}/NAME-OF-THE-DATASET")
    data, notebook = _read(path)
    secrets = tuple(scan_notebook(path.name, notebook))
    if secrets and not dry and not allow_secrets:
        raise SecretsFoundError(secrets)
    with _shelf(project, writing=True, tell=tell) as shelf:
        return replace(shelf.share(own, data, notebook, said, dry=dry), secrets=secrets)


def copy(
    name: str, target: Path | None = None, *, tell: Callable[[str], None] = lambda _: None
) -> Copied:
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
    WrongName
        If `name` is none.
    NotPublished
        If there is no such notebook.
    Malformed
        If it is damaged, or was replaced in the store.
    Conflict
        If `target` is a file that is there.
    FileProblem
        If it cannot be written.
    AccessDenied, StoreError, ServiceUnavailable
        If it cannot be read.
    """
    text, number = split_label(name)
    project, own = _target(text)
    if own is None:
        raise WrongName(f"{name!r} names no notebook; write {project}/NAME-OF-THE-NOTEBOOK")
    with _shelf(project, writing=False, tell=tell) as shelf:
        published, data = shelf.fetch(own, number)
    return Copied(published, _written(data, own.rpartition("/")[2], target))


def listing(project: str) -> notebooks.Listing:
    """The notebooks of a project; raises as `copy`."""
    if not is_name(project):
        raise WrongName(f"{project!r} cannot be a project")
    with _shelf(project, writing=False) as shelf:
        return shelf.listing()


def listed(project: str | None = None) -> run.Listed:
    """The notebooks of a project, or of all that the person may read, for people and programs."""
    each, troubles = run.of_all(listing) if project is None else ({project: listing(project)}, [])
    everything = [notebook for found in each.values() for notebook in found.notebooks]
    troubles += [f"{name}: {trouble}" for name, found in each.items() for trouble in found.troubles]
    versions = [version.to_json() for notebook in everything for version in notebook.versions]
    return run.Listed(
        [_row(notebook.latest) for notebook in everything],
        {"notebooks": versions, "troubles": troubles},
        tuple(troubles),
    )


def _row(published: Published) -> tuple[str, ...]:
    return (
        published.label,
        f"{published.created:%Y-%m-%d}",
        published.created_by,
        published.title,
    )


class _Shelf:
    """The notebooks of one project, and the connection through which they are reached."""

    def __init__(self, connection: Connection, project: str, patience: Patience) -> None:
        self._connection = connection
        self._view = connection.view
        self._project = project
        self._place = project_place(connection.view, project)
        self._patience = patience
        self._objects = Objects(connection.view, connection.keys, self._place)

    def close(self) -> None:
        self._objects.close()

    def share(self, name: str, data: bytes, notebook: Ipynb, said: Said, *, dry: bool) -> Shared:
        self._may_write(name)
        before = self._latest(name)
        environment, note = environment_of(notebook)
        datasets, notes = self._datasets(notebook, said)
        picture = notebook.picture()
        about = Published(
            project=self._project,
            name=name,
            number=min(before.number + 1, LAST_NUMBER) if before else 1,
            created=datetime.now(UTC),
            created_by=self._view.user,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            title=_first(
                said.title, notebook.title[:LONGEST_LINE], before.title if before else None
            ),
            description=_first(said.description, before.description if before else None),
            note=said.note or "",
            environment=environment,
            datasets=datasets,
            preview_sha256=hashlib.sha256(picture).hexdigest() if picture else None,
        )
        notes = [*([note] if note else []), *notes]
        if before is not None:
            kept = replace(about, note=before.note) if said.note is None else about
            if before.says_the_same(kept):
                return Shared(before, is_new=False, notes=tuple(notes))
        if not dry:
            about = self._ask(
                f"publishing {self._project}/{name}",
                lambda: notebooks.publish(self._objects.store, data, about, picture),
            )
        return Shared(about, is_new=True, notes=tuple(notes))

    def fetch(self, name: str, number: int | None) -> tuple[Published, bytes]:
        def get() -> tuple[Published, bytes]:
            store = self._objects.store
            found = notebooks.find(store, self._project, name, number)
            return found, notebooks.read(store, found)

        return self._ask(f"fetching {self._project}/{name}", get)

    def listing(self) -> notebooks.Listing:
        what = f"the notebooks of {self._project}"
        return self._ask(what, lambda: notebooks.listing(self._objects.store, self._project))

    def _may_write(self, name: str) -> None:
        place = Location(self._place.bucket, f"{self._place.key}{folder_of(name)}")
        reasons = why_not_write(self._view, place)
        if reasons:
            raise denied_for(reasons, f"nothing can be published in {self._project}")

    def _latest(self, name: str) -> Published | None:
        found = self._ask(
            f"the notebooks of {self._project}",
            lambda: notebooks.history(self._objects.store, self._project, name),
        )
        return found.notebooks[0].latest if found.notebooks else None

    def _datasets(self, notebook: Ipynb, said: Said) -> tuple[tuple[str, ...], list[str]]:
        view = self._view
        found = touched(texts(notebook), view.prefixes, self._known, view.scratch)
        every = dict.fromkeys([*said.datasets, *found.datasets])
        kept = tuple(itertools.islice(every, MOST_DATASETS))
        return tuple(sorted(kept)), [*_notes_of(found), *_left(len(every) - len(kept))]

    def _known(self, project: str) -> frozenset[str]:
        """The names of a project's datasets; none where they cannot be listed now."""
        objects = Objects(self._view, self._connection.keys, project_place(self._view, project))
        with suppress(StoreError):
            return objects.guarded(
                f"the catalog of {project}",
                lambda: frozenset(
                    name
                    for key in keys_below(objects.store, CATALOG)
                    if (name := dataset_of(key.path)) is not None
                ),
            )
        return frozenset()

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return self._patience.keep_trying(partial(self._objects.guarded, what, call))
        except StoreError as failure:
            if failure.kind != "denied":
                raise
            raise AccessDenied(
                f"{failure}, though this session should be let; its rights may have changed just "
                "now, or the store's own policy is narrower"
            ) from failure


@contextmanager
def _shelf(
    project: str, *, writing: bool, tell: Callable[[str], None] = lambda _: None
) -> Iterator[_Shelf]:
    with connected(project, writing=writing) as connection:
        shelf = _Shelf(connection, project, Patience(note=tell))
        try:
            yield shelf
        finally:
            shelf.close()


def _target(text: str | None) -> tuple[str, str | None]:
    """A project, and the name of a notebook where there is one."""
    if text is None:
        if not in_session():
            raise WrongName(
                "name the project, such as nhp-navigation/tuning-curves; only a server of the hub "
                "has one of its own"
            )
        return here.session().project, None
    project, slash, name = text.partition("/")
    if not is_name(project):
        raise WrongName(
            f"{project!r} cannot be a project; write PROJECT/NAME, such as "
            "nhp-navigation/tuning-curves"
        )
    problem = notebook_problem(name) if slash else None
    if problem is not None:
        raise WrongName(problem)
    return project, name if slash else None


def _name_of(path: Path) -> str:
    stem = path.name.removesuffix(_ENDING)
    name = _NOT_IN_NAMES.sub("-", stem).strip(".-")[:_LONGEST_STEM].rstrip(".-")
    if not name:
        raise WrongName(
            f"{shown(path.name)} leaves nothing that can be a name; write PROJECT/NAME after it"
        )
    return name


def _read(path: Path) -> tuple[bytes, Ipynb]:
    if path.is_dir():
        raise FileProblem(f"{shown(str(path))}: it is a folder; name one notebook")
    found = find(path)
    if found.problems:
        raise found.problems[0]
    (file,) = found.files
    if file.size > LARGEST_NOTEBOOK:
        raise FileProblem(
            f"{shown(str(path))}: it has {size_text(file.size)}, and a notebook can have "
            f"{size_text(LARGEST_NOTEBOOK)}; clear its large outputs, or keep their data in a "
            "dataset"
        )
    with unchanged(file) as opened:
        data = read_whole(opened, file, file.size)
    try:
        notebook = Ipynb.decode(data)
    except Malformed as malformed:
        raise FileProblem(f"{shown(str(path))}: {malformed}") from malformed
    problem = openable_problem(data)
    if problem is not None:
        raise FileProblem(f"{shown(str(path))}: nobody could open it, since {problem}")
    return data, notebook


def _written(data: bytes, name: str, target: Path | None) -> Path:
    folder = target if target is not None and target.is_dir() else None
    if target is not None and folder is None:
        if not write_new(target, data):
            raise Conflict(f"{shown(str(target))} is there already, and stays as it is")
        return target
    for number in range(_MOST_COPIES):
        place = (folder or Path()) / f"{name}{f'-{number}' if number else ''}{_ENDING}"
        if write_new(place, data):
            return place
    raise Conflict(f"there are {_MOST_COPIES} copies of {name} here already; name a file")


def write_new(place: Path, data: bytes) -> bool:
    """Write a file that is not there; give `False` where anything has its name, a link too.

    Raises
    ------
    FileProblem
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
        raise FileProblem(f"{shown(str(place))}: {reason(problem)}") from problem
    return True


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text is not None and text != ""), "")


def _notes_of(found: Touched) -> Iterator[str]:
    if found.scratch:
        yield "it reads your scratch, which nobody else can read"
    if found.unclear:
        yield (
            f"it makes names of data while it runs ({', '.join(found.unclear[:5])}…); name the "
            "datasets with --dataset, so that readers learn which they need"
        )


def _left(count: int) -> Iterator[str]:
    if count > 0:
        yield f"it names {count} datasets more than the {MOST_DATASETS} that are recorded"
