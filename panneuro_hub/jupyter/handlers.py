"""What the browser's part asks this server, below ``panneuro/api/``.

Jupyter's own base class sees to who may ask: whoever is not logged in gets 403, and so does a
request of another site, which lacks the token against forged requests (XSRF).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web

import panneuro_hub.lab as lab
from panneuro_hub.client.errors import Unfinished
from panneuro_hub.errors import PanNeuroError, ServiceUnavailable
from panneuro_hub.jupyter.answers import (
    datasets_answer,
    services_address,
    session_answer,
    shared_answer,
)
from panneuro_hub.jupyter.refusals import BadRequest, OutOfStep, TooMuch, status_of
from panneuro_hub.jupyter.requests import flag, read
from panneuro_hub.jupyter.spool import PIECE
from panneuro_hub.lab import here

if TYPE_CHECKING:
    from panneuro_hub.client.sharing import Shared
    from panneuro_hub.jupyter.uploads import Upload, Uploads

_LONGEST_REQUEST = 32 * 1024 * 1024  # bytes: 50,000 files with long names

Method = Callable[..., Awaitable[None]]


def in_words(method: Method) -> Method:
    """Answer with a status and a sentence where `method` raises one of our errors."""

    @wraps(method)
    async def answering(handler: Handler, *args: str) -> None:
        try:
            await method(handler, *args)
        except PanNeuroError as problem:
            handler.refuse(problem)
        except ImportError as missing:
            handler.log.warning("a package is missing: %s", missing)
            handler.refuse(
                ServiceUnavailable(
                    f"this image lacks the package {missing.name}; it comes with panneuro-hub[lab]"
                )
            )

    return answering


class Kept:
    """What the extension keeps between requests.

    It is made when it is first asked for: what sends files takes a third of a second to
    import, which no start of a server needs to wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: Uploads | None = None

    def uploads(self) -> Uploads:
        """The uploads of this server."""
        with self._lock:
            if self._uploads is None:
                from panneuro_hub.jupyter.uploads import Uploads

                self._uploads = Uploads()
            return self._uploads

    def begin(self, body: bytes) -> Upload:
        """Take up the upload that a request asks for; raises as `uploads.begin`."""
        from panneuro_hub.jupyter.uploads import begin

        return begin(self.uploads(), body)


def _share(body: bytes, root: Path) -> Shared:
    from panneuro_hub.jupyter.notebooks import share_asked

    return share_asked(body, root)


def _copy(body: bytes, root: Path) -> tuple[str, str]:
    """Put a copy among the files below `root`; gives its path and the notebook's label."""
    from panneuro_hub.jupyter.notebooks import fetch_asked, save_copy

    published, notebook = fetch_asked(body)
    return save_copy(notebook, published.name.rpartition("/")[2], root), published.label


class Handler(APIHandler):
    """A request of the browser's part."""

    def initialize(self, kept: Kept) -> None:
        """Take what the extension keeps between requests."""
        self.kept = kept

    async def upload(self, identifier: str) -> Upload:
        """One upload of this server; raises as `Uploads.get`."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        return uploads.get(identifier)

    def refuse(self, problem: PanNeuroError) -> None:
        """Say why not."""
        answer: dict[str, Any] = {"message": str(problem)}
        if isinstance(problem, Unfinished):
            answer["problems"] = [str(one) for one in problem.problems[:100]]
        if isinstance(problem, OutOfStep):
            answer["received"] = problem.received
        self.set_status(status_of(problem))
        # In ASCII: a name may have letters that no answer can be sent with.
        self.finish(json.dumps(answer))

    def body(self) -> bytes:
        """What was sent with the request.

        Raises
        ------
        TooMuch
            If it is more than any request needs.
        """
        sent: bytes = self.request.body
        if len(sent) > _LONGEST_REQUEST:
            raise TooMuch("the request is too long")
        return sent

    def number(self, name: str) -> int:
        """A whole number of the address's query.

        Raises
        ------
        BadRequest
            If it is none.
        """
        value = self.get_query_argument(name, "")
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise BadRequest(f"{name} must be a whole number, 0 or more")
        return int(value)


class SessionHandler(Handler):
    """Where this server works."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Answer with the project, the level, and whether one may write."""
        session = await asyncio.to_thread(here.session)
        # None, where another contents manager was chosen than `shared.SharedFiles`.
        drives = getattr(self.contents_manager, "projects", {})
        self.finish(session_answer(session, services_address(), drives))


class DatasetsHandler(Handler):
    """What there is."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Answer with the datasets that can be read here."""
        self.finish(datasets_answer(await asyncio.to_thread(lambda: lab.datasets())))


class SharesHandler(Handler):
    """Notebooks that are shared."""

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Share a notebook, and say where it is."""
        root = Path(self.contents_manager.root_dir)
        shared = await asyncio.to_thread(_share, self.body(), root)
        self.finish(shared_answer(shared, services_address()))


class CopiesHandler(Handler):
    """Copies of shared notebooks."""

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Put a copy among this server's files, and say where."""
        root = Path(self.contents_manager.root_dir)
        path, label = await asyncio.to_thread(_copy, self.body(), root)
        self.set_status(201)
        self.finish({"path": path, "label": label})


class UploadsHandler(Handler):
    """Uploads that are begun and listed."""

    @web.authenticated
    @in_words
    async def get(self) -> None:
        """Answer with all uploads of this server."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        self.finish({"uploads": [one.answer() for one in uploads.listed()]})

    @web.authenticated
    @in_words
    async def post(self) -> None:
        """Take up an upload; answers which pieces are to come."""
        upload = await asyncio.to_thread(self.kept.begin, self.body())
        self.set_status(201)
        self.finish({**upload.answer(), "files": upload.spool.received, "piece": PIECE})


class UploadHandler(Handler):
    """One upload."""

    # An open panel asks every second; that is no sign of somebody at work.
    _track_activity = False

    @web.authenticated
    @in_words
    async def get(self, identifier: str) -> None:
        """Answer how far it is."""
        self.finish((await self.upload(identifier)).answer())

    @web.authenticated
    @in_words
    async def post(self, identifier: str) -> None:
        """Go on to the store with what has come."""
        upload = await self.upload(identifier)
        asked = read(self.body() or b"{}")
        upload.start(update=flag(asked, "update"), allow_secrets=flag(asked, "allow_secrets"))
        self.set_status(202)
        self.finish(upload.answer())

    @web.authenticated
    @in_words
    async def delete(self, identifier: str) -> None:
        """End it."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        await asyncio.to_thread(uploads.end, identifier)
        self.set_status(204)
        self.finish()


class FileHandler(Handler):
    """One file of an upload."""

    @web.authenticated
    @in_words
    async def put(self, identifier: str, index: str) -> None:
        """Keep its next piece; answers how much of it is here."""
        piece: bytes = self.request.body
        if len(piece) > PIECE:
            raise TooMuch(f"a piece may have {PIECE} bytes")
        sha256 = self.request.headers.get("X-Content-SHA256")
        offset = self.number("offset")
        upload = await self.upload(identifier)
        received = await asyncio.to_thread(upload.take, int(index), offset, piece, sha256)
        self.finish({"received": received})


def serve(server: ServerApp) -> None:
    """Add the extension's addresses to a server."""
    base = server.web_app.settings["base_url"]
    kept = {"kept": Kept()}
    one = r"uploads/([0-9a-f]{32})"
    addresses = [
        ("session", SessionHandler),
        ("datasets", DatasetsHandler),
        ("shares", SharesHandler),
        ("copies", CopiesHandler),
        ("uploads", UploadsHandler),
        (one, UploadHandler),
        (rf"{one}/files/([0-9]{{1,6}})", FileHandler),
    ]
    server.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "panneuro/api", address), handler, kept)
            for address, handler in addresses
        ],
    )
