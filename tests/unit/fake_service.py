"""A small service over real HTTP, for faults that the real one will not give on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from panneuro_hub.wire import Credential, SessionView


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def said(status: int, message: str, **headers: str) -> Reply:
    return Reply(status, json.dumps({"message": message}).encode(), headers)


@dataclass
class FakeService:
    """Speaks the service's HTTP; `credentials` and `session` say how it answers."""

    ticket: str
    lifetime: timedelta = timedelta(minutes=15)
    renew_in: timedelta = timedelta(minutes=10)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    view: SessionView | None = None
    credential_asks: int = 0
    session_asks: int = 0
    issued: list[Credential] = field(default_factory=list)
    fault: Reply | None = None
    credential_fault: Reply | None = None
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.open_gate = threading.Event()
        self.open_gate.set()

    def __enter__(self) -> FakeService:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open_gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/panneuro"

    def asked(self, times: int, patience: float = 20.0) -> None:
        """Wait until credentials have been asked for `times` times."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.credential_asks >= times, patience)

    def issue(self) -> Credential:
        now = self.clock().replace(microsecond=0)
        number = len(self.issued) + 1
        credential = Credential(
            f"KEY{number}",
            f"secret-{number}",
            f"token-{number}",
            now + self.lifetime,
            now + self.renew_in,
        )
        self.issued.append(credential)
        return credential

    def reply(self, path: str, authorization: str | None) -> Reply:
        with self.changed:
            if path == "/services/panneuro/api/credentials":
                self.credential_asks += 1
            elif path == "/services/panneuro/api/session":
                self.session_asks += 1
            else:
                self.elsewhere.append(path)
            self.changed.notify_all()
        self.open_gate.wait()
        with self.changed:
            if self.fault is not None:
                return self.fault
            if authorization != f"panneuro-ticket {self.ticket}":
                return said(403, "this ticket is unknown")
            if path.endswith("/api/credentials"):
                if self.credential_fault is not None:
                    return self.credential_fault
                return _json(self.issue().to_json())
            if self.view is None:
                return said(503, "no session")
            return _json(self.view.to_json())


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128
    service: FakeService


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        reply = self.server.service.reply(self.path, self.headers.get("Authorization"))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *args: Any) -> None:
        pass


def _json(document: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(document).encode())
