"""The service's parts, put together for tests: a small hub, a real database, a maker of keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from small_hub import TOKEN, SmallHub

from panneuro_hub.current import Current
from panneuro_hub.service.accounts.hub_users import HubUsers
from panneuro_hub.service.app import ServiceParts
from panneuro_hub.service.browse.project_reader import ProjectReader
from panneuro_hub.service.credentials.issuer import CredentialIssuer
from panneuro_hub.service.dask.cluster_sessions import ClusterSessions
from panneuro_hub.service.db.engine import Database
from panneuro_hub.service.db.ledger import Ledger
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.db.session_store import SessionStore
from panneuro_hub.vending import Vending
from panneuro_hub.vending.types import CredentialRequest
from panneuro_hub.wire import Credential

SECRET = "the-secret-access-key"


class Maker:
    """A store's STS as the issuer sees it: it makes a credential, or fails as told."""

    made = 0
    fault: Exception | None = None

    def rights(self, request: CredentialRequest) -> str:
        return json.dumps([(grant.mode, grant.prefix) for grant in request.grants])

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        if self.fault:
            raise self.fault
        self.made += 1
        expires = datetime.now(UTC) + timedelta(minutes=30)
        return Credential(f"ASIA{self.made}", SECRET, "the-session-token", expires, expires)

    async def close(self) -> None:
        pass


@dataclass
class SmallService:
    """The objects that the parts of the service share, and what they stand on."""

    parts: ServiceParts
    maker: Maker
    hub: SmallHub
    ledger: Ledger
    register: SessionStore
    database: Database

    @property
    def issuer(self) -> CredentialIssuer:
        """Return what makes credentials for tickets."""
        return self.parts.issuer


@asynccontextmanager
async def small_service(
    hub: SmallHub, folder: Path, collaboration: Path, keep: float = 0
) -> AsyncIterator[SmallService]:
    """A service at a hub.

    Parameters
    ----------
    keep : float
        Seconds that people are kept.
    """
    maker = Maker()
    vending = Vending(makers={"s3": maker})
    with closing(open_database(f"sqlite:///{folder}/ledger.sqlite")) as database:
        members = HubUsers(hub.url, TOKEN, keep=keep)
        parts = ServiceParts.build(Current(collaboration), members, database, vending)
        yield SmallService(parts, maker, hub, parts.ledger, parts.sessions, database)
        await vending.close()


def project_reader(service: SmallService, **settings: Any) -> ProjectReader:
    """Return what reads projects for the pages of a service."""
    return ProjectReader(service.parts.vending, service.parts.refusals, **settings)


def cluster_sessions(service: SmallService) -> ClusterSessions:
    """Return what gateways use of a service."""
    parts = service.parts
    return ClusterSessions(parts.current, parts.hub_users, parts.sessions, parts.refusals)
