"""A store's STS whose sessions last seconds: the real one's answers, with an earlier end.

SeaweedFS makes sessions of 15 minutes or more. Its session token is a JWT (HS256): with
the same claims and an earlier end, signed again, it is a shorter session of the same
keys and the same policy. See also tests/live/short_sessions.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from panneuro_hub.devstack.seaweedfs import SeaweedFS


class ShortSts:
    """Stands before the STS of `store`, on the same address.

    Parameters
    ----------
    store : SeaweedFS
    lifetime : int
        Seconds that its sessions last.
    """

    def __init__(self, store: SeaweedFS, lifetime: int) -> None:
        self.ends: list[float] = []
        self.store = store
        self.lifetime = lifetime
        self._server = _Server((store.address, 0), _Handler)
        self._server.sts = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> ShortSts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}"

    def shorten(self, answer: str) -> str:
        """The same answer, ending sooner."""
        token = re.search("<SessionToken>(.*?)</SessionToken>", answer)
        if token is None:
            return answer
        end = int(time.time()) + self.lifetime
        self.ends.append(end)
        header, claims, _ = token[1].split(".")
        document = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        text = f"{header}.{_encode(json.dumps({**document, 'exp': end}).encode())}"
        signed = hmac.new(self.store.signing_key.secret, text.encode(), hashlib.sha256).digest()
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
        answer = answer.replace(token[1], f"{text}.{_encode(signed)}")
        return re.sub("<Expiration>.*?<", f"<Expiration>{moment}<", answer)


class _Server(ThreadingHTTPServer):
    sts: ShortSts


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        real = urlsplit(self.server.sts.store.sts_endpoint_url)
        connection = http.client.HTTPConnection(str(real.hostname), real.port, timeout=30)
        # The Host that the caller signed goes along, or the signature would not hold.
        connection.request("POST", self.path, body, dict(self.headers))
        with connection.getresponse() as response:
            answer = self.server.sts.shorten(response.read().decode()).encode()
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers.get("Content-Type", "text/xml"))
        connection.close()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Say nothing: pytest shows what matters."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
