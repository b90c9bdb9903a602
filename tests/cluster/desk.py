"""The service's two questions, answered for one session; for pods that have no hub.

The keys are real: from the store's own STS, through the product's own vending.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiobotocore.session import get_session
from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

from panneuro_hub.collaboration import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
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


class Desk(StandInServer):
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
        super().__init__(self._respond, address)
        self.ticket = Ticket.new(view.user, "")
        self._seaweedfs = seaweedfs
        self._view = view

    @property
    def url(self) -> str:
        """The service's address, as an agent receives it."""
        return f"{super().url}/services/panneuro"

    def _respond(self, request: StandInRequest) -> StandInResponse:
        if request.headers.get("authorization") != f"panneuro-ticket {self.ticket.encode()}":
            return StandInResponse.from_json({"message": "no ticket of this session"}, 403)
        if request.path == "/services/panneuro/api/credentials":
            return StandInResponse.from_json(asyncio.run(self._credential()).to_json())
        if request.path == "/services/panneuro/api/session":
            return StandInResponse.from_json(self._view.to_json())
        return StandInResponse.from_json({"message": "nothing here"}, 404)

    async def _credential(self) -> Credential:
        session = get_session()
        session.set_credentials(*self._seaweedfs.vendor)
        vending = Vending({"s3": S3CredentialMaker(session=session)})
        view = self._view
        store = as_store(self._seaweedfs)
        try:
            asked = CredentialRequest("test", view.user, view.project, store, view.grants)
            return (await vending.credential(asked)).credential
        finally:
            await vending.close()
