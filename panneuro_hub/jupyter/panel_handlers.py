"""Handlers for the requests of the panel, below ``panneuro/api/``.

Jupyter's own base class sees to who may ask: whoever is not logged in gets 403, and so does a
request of another site, which lacks the token against forged requests (XSRF).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web

import panneuro_hub.lab as lab
from panneuro_hub.errors import PanNeuroError, ServiceUnavailableError
from panneuro_hub.jupyter.panel_errors import (
    BadRequestError,
    UploadTooLargeError,
)
from panneuro_hub.jupyter.request_fields import read_flag, read_json_fields
from panneuro_hub.jupyter.response_schemas import (
    find_services_url,
    make_datasets_response,
    make_session_response,
    make_share_response,
)
from panneuro_hub.jupyter.upload_spool import PIECE_SIZE
from panneuro_hub.lab import current_session
from panneuro_hub.wire.refusal import Refusal

if TYPE_CHECKING:
    from panneuro_hub.client.notebook_sharing import ShareResult
    from panneuro_hub.jupyter.browser_uploads import BrowserUpload, UploadRegistry

_LONGEST_REQUEST = 32 * 1024 * 1024  # bytes: 50,000 files with long names

HandlerMethod = Callable[..., Awaitable[None]]


def report_errors(method: HandlerMethod) -> HandlerMethod:
    """Answer with a status and a sentence where `method` raises one of our errors."""

    @wraps(method)
    async def answering(handler: PanelHandler, *args: str) -> None:
        try:
            await method(handler, *args)
        except PanNeuroError as problem:
            handler.refuse(problem)
        except ImportError as missing:
            handler.log.warning("a package is missing: %s", missing)
            handler.refuse(
                ServiceUnavailableError(
                    f"this image lacks the package {missing.name}; it comes with panneuro-hub[lab]"
                )
            )

    return answering


class ExtensionState:
    """State that the extension keeps between requests.

    It is made when it is first asked for: what sends files takes a third of a second to
    import, which no start of a server needs to wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: UploadRegistry | None = None

    def uploads(self) -> UploadRegistry:
        """The uploads of this server."""
        with self._lock:
            if self._uploads is None:
                from panneuro_hub.jupyter.browser_uploads import UploadRegistry

                self._uploads = UploadRegistry()
            return self._uploads

    def begin(self, body: bytes) -> BrowserUpload:
        """Take up the upload that a request asks for; raises as `uploads.begin`."""
        from panneuro_hub.jupyter.browser_uploads import begin_upload

        return begin_upload(self.uploads(), body)


def _share_notebook(body: bytes, root: Path) -> ShareResult:
    from panneuro_hub.jupyter.notebook_copies import share_requested_notebook

    return share_requested_notebook(body, root)


def _copy_notebook(body: bytes, root: Path) -> tuple[str, str]:
    """Put a copy among the files below `root`; gives its path and the notebook's label."""
    from panneuro_hub.jupyter.notebook_copies import fetch_requested_notebook, save_copy

    published, notebook = fetch_requested_notebook(body)
    return save_copy(notebook, published.name.rpartition("/")[2], root), published.label


class PanelHandler(APIHandler):
    """A request of the browser's part."""

    def initialize(self, kept: ExtensionState) -> None:
        """Take what the extension keeps between requests."""
        self.kept = kept

    async def upload(self, identifier: str) -> BrowserUpload:
        """One upload of this server; raises as `UploadRegistry.get`."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        return uploads.get(identifier)

    def refuse(self, problem: PanNeuroError) -> None:
        """Say why not."""
        refusal = Refusal.from_error(problem, default=HTTPStatus.CONFLICT)
        self.set_status(refusal.status)
        # In ASCII: a name may have letters that no answer can be sent with.
        self.finish(json.dumps(refusal.to_json()))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error of the framework in the same form."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = getattr(error, "log_message", None) or self._reason
        refusal = Refusal.from_status(status_code, str(message))
        self.finish(json.dumps(refusal.to_json()))

    def body(self) -> bytes:
        """Return the JSON object in the body of the request.

        Raises
        ------
        UploadTooLargeError
            If it is more than any request needs.
        """
        sent: bytes = self.request.body
        if len(sent) > _LONGEST_REQUEST:
            raise UploadTooLargeError("the request is too long")
        return sent

    def number(self, name: str) -> int:
        """A whole number of the address's query.

        Raises
        ------
        BadRequestError
            If it is none.
        """
        value = self.get_query_argument(name, "")
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise BadRequestError(f"{name} must be a whole number, 0 or more")
        return int(value)


class PanelSessionHandler(PanelHandler):
    """Handle requests for the session of this server."""

    @web.authenticated
    @report_errors
    async def get(self) -> None:
        """Answer with the project, the level, and whether one may write."""
        session = await asyncio.to_thread(current_session.session)
        # None, where another contents manager was chosen than `shared.SharedFiles`.
        drives = getattr(self.contents_manager, "projects", {})
        self.finish(make_session_response(session, find_services_url(), drives))


class PanelDatasetsHandler(PanelHandler):
    """Handle requests for the datasets."""

    @web.authenticated
    @report_errors
    async def get(self) -> None:
        """Answer with the datasets that can be read here."""
        self.finish(make_datasets_response(await asyncio.to_thread(lambda: lab.datasets())))


class NotebookSharesHandler(PanelHandler):
    """Notebooks that are shared."""

    @web.authenticated
    @report_errors
    async def post(self) -> None:
        """Share a notebook, and say where it is."""
        root = Path(self.contents_manager.root_dir)
        shared = await asyncio.to_thread(_share_notebook, self.body(), root)
        self.finish(make_share_response(shared, find_services_url()))


class NotebookCopiesHandler(PanelHandler):
    """Copies of shared notebooks."""

    @web.authenticated
    @report_errors
    async def post(self) -> None:
        """Put a copy among this server's files, and say where."""
        root = Path(self.contents_manager.root_dir)
        path, label = await asyncio.to_thread(_copy_notebook, self.body(), root)
        self.set_status(201)
        self.finish({"path": path, "label": label})


class BrowserUploadsHandler(PanelHandler):
    """Uploads that are begun and listed."""

    @web.authenticated
    @report_errors
    async def get(self) -> None:
        """Answer with all uploads of this server."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        self.finish({"uploads": [one.answer() for one in uploads.listed()]})

    @web.authenticated
    @report_errors
    async def post(self) -> None:
        """Take up an upload; answers which pieces are to come."""
        upload = await asyncio.to_thread(self.kept.begin, self.body())
        self.set_status(201)
        self.finish({**upload.answer(), "files": upload.spool.received, "piece": PIECE_SIZE})


class BrowserUploadHandler(PanelHandler):
    """One upload."""

    # An open panel asks every second; that is no sign of somebody at work.
    _track_activity = False

    @web.authenticated
    @report_errors
    async def get(self, identifier: str) -> None:
        """Answer how far it is."""
        self.finish((await self.upload(identifier)).answer())

    @web.authenticated
    @report_errors
    async def post(self, identifier: str) -> None:
        """Go on to the store with what has come."""
        upload = await self.upload(identifier)
        asked = read_json_fields(self.body() or b"{}")
        upload.start(
            update=read_flag(asked, "update"), allow_secrets=read_flag(asked, "allow_secrets")
        )
        self.set_status(202)
        self.finish(upload.answer())

    @web.authenticated
    @report_errors
    async def delete(self, identifier: str) -> None:
        """End it."""
        uploads = await asyncio.to_thread(self.kept.uploads)
        await asyncio.to_thread(uploads.end, identifier)
        self.set_status(204)
        self.finish()


class UploadFileHandler(PanelHandler):
    """One file of an upload."""

    @web.authenticated
    @report_errors
    async def put(self, identifier: str, index: str) -> None:
        """Keep its next piece; answers how much of it is here."""
        piece: bytes = self.request.body
        if len(piece) > PIECE_SIZE:
            raise UploadTooLargeError(f"a piece may have {PIECE_SIZE} bytes")
        sha256 = self.request.headers.get("X-Content-SHA256")
        offset = self.number("offset")
        upload = await self.upload(identifier)
        received = await asyncio.to_thread(upload.take, int(index), offset, piece, sha256)
        self.finish({"received": received})


def add_handlers(server: ServerApp) -> None:
    """Add the extension's addresses to a server."""
    base = server.web_app.settings["base_url"]
    kept = {"kept": ExtensionState()}
    one = r"uploads/([0-9a-f]{32})"
    addresses = [
        ("session", PanelSessionHandler),
        ("datasets", PanelDatasetsHandler),
        ("shares", NotebookSharesHandler),
        ("copies", NotebookCopiesHandler),
        ("uploads", BrowserUploadsHandler),
        (one, BrowserUploadHandler),
        (rf"{one}/files/([0-9]{{1,6}})", UploadFileHandler),
    ]
    server.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "panneuro/api", address), handler, kept)
            for address, handler in addresses
        ],
    )
