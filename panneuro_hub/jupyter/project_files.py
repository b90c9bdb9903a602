"""The projects' files in JupyterLab's file browser, by jupyter-fs: to look at, not to write.

What is brought in goes through an upload, which makes a dataset complete and keeps it so; a file
that a file browser puts into one would make its manifest wrong. The session's own keys are used,
found and renewed as by every S3 client of the session; no key is in any setting.

jupyter-fs asks a store from the server's own loop, once for each file of a folder, reads whole
files into memory, and takes spaces out of names. Here it is asked in threads, a folder is one
listing, what is too large is refused in words, and names stay as they are.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from jupyter_core.utils import ensure_async
from jupyter_server.services.contents.manager import AsyncContentsManager
from jupyterfs.manager.fsspec import FSSpecManager
from jupyterfs.metamanager import MetaManager
from tornado import web

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.lab import current_session
from panneuro_hub.wire import SessionView

LARGEST_FILE = 50 * 1000**2
"""The largest file that is opened in the browser, in bytes."""

_DRIVE = re.compile(r"/*(project-[a-z0-9-]+):(.*)", re.DOTALL)
_MAX_ATTEMPTS = 10
_PAUSE = 3.0  # seconds
_READ_ONLY = (
    "The projects' files are here to look at. Bring files in as a dataset, in the panel Project or "
    "with panneuro upload; or save to your own files."
)
_GONE = "there is nothing of this name in {name}, or it is gone"


class ProjectContents(FSSpecManager):
    """The files of one project.

    Parameters
    ----------
    name : str
        The project.
    view : SessionView
        The session that reads it.
    """

    # Not jupyter-fs's own, which asks the store before anybody has looked.
    def __init__(self, name: str, view: SessionView, parent: Any) -> None:
        super(FSSpecManager, self).__init__(parent=parent)
        self.root = view.prefixes[name].removeprefix("s3://").rstrip("/")
        self._name = name
        self._fs = fsspec.filesystem(
            "s3",
            client_kwargs={"endpoint_url": view.endpoint_url, "region_name": view.region},
            use_listings_cache=False,
        )

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002 - Jupyter's own name for it
        format: str | None = None,  # noqa: A002
        **_: Any,
    ) -> dict[str, Any]:
        """The model of a file or a folder, as Jupyter has them."""
        place = self._normalize_path(path)
        try:
            # Of the prefix itself, without its last '/', the session may ask nothing.
            root: dict[str, Any] = {"name": self.root, "type": "directory"}
            known = root if place == self.root else self._fs.info(place)
            if known["type"] == "directory":
                return self._folder(known, content)
            if content and known["size"] > LARGEST_FILE:
                raise web.HTTPError(413, f"{path} is too large to be opened here; use lab.open")
            if type == "notebook" or (type is None and place.endswith(".ipynb")):
                model: dict[str, Any] = self._notebook_model(place, content=content)
            else:
                model = self._file_model(place, content=content, format=format)
        except FileNotFoundError as missing:
            raise web.HTTPError(404, _GONE.format(name=self._name)) from missing
        except PermissionError as refusal:
            raise web.HTTPError(
                403, f"{self._name} cannot be read here any more; lab.session() says why"
            ) from refusal
        except (BotoCoreError, ClientError, OSError) as problem:
            raise web.HTTPError(503, "the store is out of reach for now; try again") from problem
        return model

    def save(self, *_: Any, **__: Any) -> None:
        """Refused."""
        raise web.HTTPError(403, _READ_ONLY)

    delete = delete_file = rename = rename_file = save

    def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
        """Trust nothing of it: a project's notebook is somebody else's."""
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.metadata["trusted"] = False

    def _folder(self, known: Mapping[str, Any], content: bool) -> dict[str, Any]:
        model = self._model(known)
        if content:
            listed = self._fs.ls(known["name"], detail=True)
            inside = [self._model(one) for one in listed if one["name"] != known["name"]]
            model["content"] = [one for one in inside if not one["name"].startswith(".")]
            model["format"] = "json"
        return model

    def _base_model(self, path: str) -> dict[str, Any]:
        return self._model(self._fs.info(path))

    def _model(self, known: Mapping[str, Any]) -> dict[str, Any]:
        place = known["name"].rstrip("/")
        name = place.rpartition("/")[2]
        folder = known["type"] == "directory"
        # Of a folder nobody knows when it changed.
        when = known["LastModified"].isoformat() if "LastModified" in known else ""
        return {
            "name": name,
            "path": place.removeprefix(self.root).lstrip("/"),
            "type": "directory" if folder else "notebook" if name.endswith(".ipynb") else "file",
            "size": None if folder else known["size"],
            "last_modified": when,
            "created": when,
            "content": None,
            "format": None,
            "mimetype": None,
            "writable": False,
        }

    def _normalize_path(self, path: str) -> str:
        inside = path.removeprefix(self.root) if path.startswith(f"{self.root}/") else path
        parts = [part for part in inside.split("/") if part]
        if any(part in (".", "..") or part.startswith(".") for part in parts):
            raise web.HTTPError(404, _GONE.format(name=self._name))
        return "/".join([self.root, *parts])


def _delegate_reading(method: str) -> Callable[..., Any]:
    """A method of a contents manager, which a thread answers where a project is asked."""

    async def ask(self: ProjectFilesManager, path: str = "", *args: Any, **kwargs: Any) -> Any:
        manager, inside = self.of(path)
        call = getattr(manager, method)
        if manager is self.root_manager:
            return await ensure_async(call(inside, *args, **kwargs))
        return await asyncio.to_thread(functools.partial(call, inside, *args, **kwargs))

    return ask


class ProjectFilesManager(MetaManager):
    """A person's own files, as ever, and beside them those of the projects that they read.

    Which projects these are, the session's agent is asked in a thread of its own: a server
    starts without waiting for it.
    """

    _managers: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        self._projects: tuple[str, ...] = ()
        self._managers = {}
        self.known = threading.Event()
        super().__init__(**kwargs)
        if os.environ.get("PANNEURO_PROJECT"):
            threading.Thread(target=self._ask, name="panneuro-shared", daemon=True).start()
        else:
            self.known.set()

    # jupyter-fs's own part in the browser, which stays empty with the JupyterLab of today.
    def initResource(self, *_: Any, **__: Any) -> list[dict[str, Any]]:  # noqa: N802
        """Nothing: the panel shows the projects, in JupyterLab's own file browser."""
        self.resources: list[dict[str, Any]] = []
        self._managers.setdefault("", self._default_root_manager)
        return self.resources

    @property
    def projects(self) -> dict[str, str]:
        """The drive of each project, by its name."""
        return {name: f"project-{name}" for name in self._projects}

    def of(self, path: str) -> tuple[AsyncContentsManager, str]:
        """Return the files that a path belongs to, and the path in them."""
        found = _DRIVE.fullmatch(path)
        manager = self._managers.get(found[1]) if found else None
        # A person's own file may have a ':' in its name.
        return (manager, found[2]) if found and manager else (self.root_manager, path)

    get = _delegate_reading("get")
    is_hidden = _delegate_reading("is_hidden")
    dir_exists = _delegate_reading("dir_exists")
    file_exists = _delegate_reading("file_exists")
    exists = _delegate_reading("exists")
    delete = _delegate_reading("delete")
    create_checkpoint = _delegate_reading("create_checkpoint")
    list_checkpoints = _delegate_reading("list_checkpoints")

    async def save(self, model: dict[str, Any], path: str = "") -> Any:
        """Save a file of the person's own."""
        manager, inside = self.of(path)
        return await ensure_async(manager.save(model, inside))

    async def get_kernel_path(self, path: str, model: Any = None) -> str:
        """Return the folder in which a notebook's kernel starts: home for a project's notebook."""
        manager, inside = self.of(path)
        if manager is not self.root_manager:
            return ""
        return str(await ensure_async(manager.get_kernel_path(inside, model)))

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Go back to what a file of the person's own was."""
        manager, inside = self.of(path)
        if manager is not self.root_manager:
            raise web.HTTPError(403, _READ_ONLY)
        return await ensure_async(manager.restore_checkpoint(checkpoint_id, inside))

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Forget what a file of the person's own was."""
        manager, inside = self.of(path)
        if manager is self.root_manager:
            await ensure_async(manager.delete_checkpoint(checkpoint_id, inside))

    async def rename(self, old_path: str, new_path: str) -> Any:
        """Rename a file of the person's own."""
        (old, old_inside), (new, new_inside) = self.of(old_path), self.of(new_path)
        if new is not self.root_manager:
            raise web.HTTPError(403, _READ_ONLY)
        return await ensure_async(old.rename(old_inside, new_inside))

    def _ask(self) -> None:
        for _ in range(_MAX_ATTEMPTS):
            try:
                view = current_session.session()
            except PanNeuroError as problem:
                self.log.warning("the projects' files are not shown yet: %s", problem)
            else:
                readable = tuple(sorted(view.prefixes))
                for name in readable:
                    self._managers[f"project-{name}"] = ProjectContents(name, view, self)
                self._projects = readable
                break
            self.known.wait(_PAUSE)
        self.known.set()
