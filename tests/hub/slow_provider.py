"""An identity provider's answers about people, later than it gives them."""

from __future__ import annotations

import threading
import urllib.request

from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

PATIENCE = 30.0  # s


class SlowUserinfo(StandInServer):
    """Passes each request on to the provider's endpoint, after `delay` seconds."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(self._pass_on)
        self.endpoint = endpoint
        self.delay = 0.0

    @property
    def userinfo_url(self) -> str:
        return f"{self.url}/userinfo"

    def _pass_on(self, request: StandInRequest) -> StandInResponse:
        threading.Event().wait(self.delay)
        headers = {"Authorization": request.headers["authorization"]}
        passed_on = urllib.request.Request(self.endpoint, headers=headers)
        with urllib.request.urlopen(passed_on, timeout=PATIENCE) as answer:
            return StandInResponse(200, answer.read(), {"Content-Type": "application/json"})
