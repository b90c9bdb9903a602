"""The service's HTTP in front of a real STS, giving sessions of a few seconds."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from short_sessions import ShortSessions
from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Credential, SessionView


class ShortService(StandInServer):
    """Gives keys of `lifetime`, due for renewal after half of it, to who shows the ticket."""

    def __init__(
        self,
        seaweedfs: SeaweedFS,
        request: CredentialRequest,
        view: SessionView,
        ticket: str,
        lifetime: timedelta,
    ) -> None:
        super().__init__(self._respond)
        self.request = request
        self.view = view
        self.ticket = ticket
        self.ends: dict[str, datetime] = {}
        self.issued: list[Credential] = []
        self._seaweedfs = seaweedfs
        self._lifetime = lifetime

    @property
    def url(self) -> str:
        return f"{super().url}/services/panneuro"

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

    def _respond(self, request: StandInRequest) -> StandInResponse:
        if request.headers.get("authorization") != f"panneuro-ticket {self.ticket}":
            return StandInResponse.from_json({"message": "this ticket is unknown"}, 403)
        if request.path == "/services/panneuro/api/credentials":
            return StandInResponse.from_json(self.credential().to_json())
        return StandInResponse.from_json(self.view.to_json())
