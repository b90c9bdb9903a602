"""The service's two questions, answered for one session; for pods that have no hub.

The keys are real: from the store's own STS, through the product's own vending.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiobotocore.session import get_session

from panneuro_hub.collaboration import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import Request, Vending
from panneuro_hub.vending.s3 import S3CredentialMaker
from panneuro_hub.wire import Credential, SessionView, Ticket


def as_store(seaweedfs: SeaweedFS) -> S3Store:
    """The store as a collaboration file would have it."""
    return S3Store(
        type="s3",
        bucket=seaweedfs.bucket,
        role_arn=seaweedfs.role_arn,
        region=seaweedfs.region,
        endpoint_url=seaweedfs.endpoint_url,
        credential_lifetime=timedelta(hours=1),
    )


class Desk:
    """Answers agents that show `ticket`, on one address of this machine.

    Parameters
    ----------
    address : str
    seaweedfs : SeaweedFS
        Which makes the keys.
    view : SessionView
        The session, and what it may do.
    """

    def __init__(self, address: str, seaweedfs: SeaweedFS, view: SessionView) -> None:
        self.ticket = Ticket.new(view.user, "")
        self._seaweedfs = seaweedfs
        self._view = view
        self._server = _Server((address, 0), _Handler)
        self._server.desk = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What an agent is told."""
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}/services/panneuro"

    def answer(self, path: str, authorization: str | None) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON for one request."""
        if authorization != f"panneuro-ticket {self.ticket.encode()}":
            return 403, {"message": "no ticket of this session"}
        if path == "/services/panneuro/api/credentials":
            return 200, asyncio.run(self._credential()).to_json()
        if path == "/services/panneuro/api/session":
            return 200, self._view.to_json()
        return 404, {"message": "nothing here"}

    async def _credential(self) -> Credential:
        session = get_session()
        session.set_credentials(*self._seaweedfs.vendor)
        vending = Vending({"s3": S3CredentialMaker(session=session)})
        view = self._view
        store = as_store(self._seaweedfs)
        try:
            asked = Request("test", view.user, view.project, store, view.grants)
            return (await vending.credential(asked)).credential
        finally:
            await vending.close()


class _Server(ThreadingHTTPServer):
    desk: Desk


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, document = self.server.desk.answer(self.path, self.headers["Authorization"])
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: pytest shows what matters."""
