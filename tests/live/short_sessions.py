"""Sessions of a few seconds on SeaweedFS 4.48, for what happens when keys end.

Its STS makes sessions of 15 minutes or more. A session token there is a JWT (HS256)
that the server signs and keeps no record of: the same token with an earlier end,
signed again, is a shorter session with the same keys and the same session policy.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiobotocore.session import AioSession, get_session

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.devstack.seaweedfs import SeaweedFS, SigningKey
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.wire import Credential


def lab_store(seaweedfs: SeaweedFS, **changes: Any) -> S3Store:
    """The store as a collaboration file would have it."""
    store = S3Store(
        type="s3",
        bucket=seaweedfs.bucket,
        role_arn=seaweedfs.role_arn,
        region=seaweedfs.region,
        endpoint_url=seaweedfs.endpoint_url,
        credential_lifetime=timedelta(minutes=15),
    )
    return store.model_copy(update=changes)


def vendor_session(seaweedfs: SeaweedFS) -> AioSession:
    """A session with the platform's keys, whatever the environment holds."""
    session = get_session()
    session.set_credentials(*seaweedfs.vendor)
    return session


class ShortSessions:
    """A `CredentialMaker` whose sessions last `lifetime`, counted in whole seconds."""

    def __init__(self, seaweedfs: SeaweedFS, lifetime: timedelta) -> None:
        self._inner = S3CredentialMaker(session=vendor_session(seaweedfs))
        self._signing_key = seaweedfs.signing_key
        self._lifetime = lifetime

    def rights(self, request: CredentialRequest) -> str:
        return self._inner.rights(request)

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        return shortened(await self._inner.make(request, rights), self._signing_key, self._lifetime)

    async def close(self) -> None:
        await self._inner.close()


def shortened(credential: Credential, key: SigningKey, lifetime: timedelta) -> Credential:
    """The same session, ending `lifetime` from now."""
    end = int(time.time() + lifetime.total_seconds())
    header, claims, _ = credential.session_token.split(".")
    document = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    if document["exp"] < end:
        raise ValueError("a session can be made shorter, not longer")
    text = f"{header}.{_encode(json.dumps({**document, 'exp': end}).encode())}"
    signature = hmac.new(key.secret, text.encode(), hashlib.sha256).digest()
    expires = datetime.fromtimestamp(end, UTC)
    return replace(
        credential,
        session_token=f"{text}.{_encode(signature)}",
        expires=expires,
        renew_after=expires,
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
