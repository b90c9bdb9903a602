"""The service's HTTP in front of a real STS, giving sessions of a few seconds."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from short_sessions import ShortSessions

from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import Request
from panneuro_hub.wire import Credential, SessionView


class ShortService:
    """Gives keys of `lifetime`, due for renewal after half of it, to who shows the ticket."""

    def __init__(
        self,
        seaweedfs: SeaweedFS,
        request: Request,
        view: SessionView,
        ticket: str,
        lifetime: timedelta,
    ) -> None:
        self.request = request
        self.view = view
        self.ticket = ticket
        self.ends: dict[str, datetime] = {}
        self.issued: list[Credential] = []
        self._seaweedfs = seaweedfs
        self._lifetime = lifetime

    def __enter__(self) -> ShortService:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/panneuro"

    def credential(self) -> Credential:
        made = asyncio.run(self._make())
        credential = Credential(
            made.access_key_id,
            made.secret_access_key,
            made.session_token,
            made.expires,
            made.expires - self._lifetime / 2,
        )
        self.ends[credential.access_key_id] = credential.expires
        self.issued.append(credential)
        return credential

    async def _make(self) -> Credential:
        maker = ShortSessions(self._seaweedfs, self._lifetime)
        try:
            return await maker.make(self.request, maker.rights(self.request))
        finally:
            await maker.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    service: ShortService


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        service = self.server.service
        if self.headers.get("Authorization") != f"panneuro-ticket {service.ticket}":
            self._answer(403, {"message": "this ticket is unknown"})
        elif self.path == "/services/panneuro/api/credentials":
            self._answer(200, service.credential().to_json())
        else:
            self._answer(200, service.view.to_json())

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
