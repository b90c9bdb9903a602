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
import time
from contextlib import closing
from urllib.parse import urlsplit

from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

from panneuro_hub.devstack.seaweedfs import SeaweedFS


class ShortSts(StandInServer):
    """Stands before the STS of `store`, on the same address.

    Parameters
    ----------
    store : SeaweedFS
    lifetime : int
        Seconds that its sessions last.
    """

    def __init__(self, store: SeaweedFS, lifetime: int) -> None:
        super().__init__(self._pass_on, store.address)
        self.ends: list[float] = []
        self.store = store
        self.lifetime = lifetime

    def _pass_on(self, request: StandInRequest) -> StandInResponse:
        real = urlsplit(self.store.sts_endpoint_url)
        connection = http.client.HTTPConnection(str(real.hostname), real.port, timeout=30)
        # The Host that the caller signed goes along, or the signature would not hold.
        connection.request(request.method, request.path, request.body, dict(request.headers))
        with closing(connection), connection.getresponse() as response:
            answer = self.shorten(response.read().decode()).encode()
            kind = response.headers.get("Content-Type", "text/xml")
            return StandInResponse(response.status, answer, {"Content-Type": kind})

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


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
