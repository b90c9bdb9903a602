"""Credentials for S3-compatible stores: STS AssumeRole with a session policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from panneuro_hub.collaboration.models import S3Store
from panneuro_hub.errors import AccessDeniedError, VendingError
from panneuro_hub.names import make_slug
from panneuro_hub.policy import S3_POLICY_LIMIT, build_session_policy
from panneuro_hub.vending.sts_errors import explain_sts_error, is_retryable_error
from panneuro_hub.vending.sts_retry import StsRetryPolicy
from panneuro_hub.vending.types import CredentialRequest
from panneuro_hub.wire import Credential

# RoleSessionName: 2 to 64 of [A-Za-z0-9_+=,.@-]. A slug has no "@", so names stay apart.
# Source: AWS Security Token Service API Reference, AssumeRole.
_NAME_PARTS = (31, 32)
_ASK_AGAIN_AFTER = 15.0  # seconds


class S3CredentialMaker:
    """Makes credentials by AssumeRole, with the service's own keys.

    The service's keys come from the places where the AWS SDKs look for them (the role of the pod
    or machine, the environment), never from the collaboration file.

    Parameters
    ----------
    session : AioSession, optional
        Provides the service's keys; by default, the SDK's usual chain of providers does.
    backoff : StsRetryPolicy
        Decides when to retry after retryable errors.
    """

    def __init__(
        self, session: AioSession | None = None, backoff: StsRetryPolicy | None = None
    ) -> None:
        self._session = session
        self._backoff = backoff or StsRetryPolicy()
        self._clients: dict[tuple[str | None, str], Any] = {}
        self._open = AsyncExitStack()
        self._opening = asyncio.Lock()

    def rights(self, request: CredentialRequest) -> str:
        """Return the session policy for exactly the grants of `request`; see `CredentialMaker`."""
        if not request.grants:
            # Without a policy, AssumeRole would allow all that the role may do.
            raise AccessDeniedError(f"{request.person} has no grants in {request.project}")
        store = request.store
        if any(grant.location.bucket != store.bucket for grant in request.grants):
            raise VendingError(
                f"a grant of {request.project} lies outside its store s3://{store.bucket}/"
            )
        try:
            policy = build_session_policy(request.grants)
        except ValueError as error:
            raise VendingError(f"no session policy for {request.project}: {error}") from error
        if len(policy) > S3_POLICY_LIMIT:
            raise VendingError(
                f"the access of {request.person} in {request.project} needs a session policy of "
                f"{len(policy)} characters, and STS accepts {S3_POLICY_LIMIT}; give the project "
                "fewer `reads` and `frozen`, or shorter prefixes"
            )
        return policy

    async def make(self, request: CredentialRequest, rights: str) -> Credential:
        """Ask STS for keys; see `CredentialMaker`."""
        if not rights:
            raise AccessDeniedError(f"{request.person} has no grants in {request.project}")

        async def attempt() -> Mapping[str, Any]:
            client = await self._client(request.store)
            try:
                answer: Mapping[str, Any] = await client.assume_role(
                    RoleArn=request.store.role_arn,
                    RoleSessionName=make_role_session_name(request.person, request.project),
                    Policy=rights,
                    DurationSeconds=int(request.store.credential_lifetime.total_seconds()),
                )
            except KeyError:
                # botocore's parser raises KeyError for XML of another kind.
                raise VendingError(_not_sts(request.store)) from None
            return answer

        try:
            answer = await self._backoff.run(attempt, is_retryable_error)
        except (BotoCoreError, ClientError) as error:
            raise VendingError(
                f"{_describe(request.store)} made no credential: {explain_sts_error(error)}",
                retry_after=_ASK_AGAIN_AFTER if is_retryable_error(error) else None,
            ) from error
        except ResponseParserError:
            # From None: botocore's error repeats the response, which could contain keys.
            raise VendingError(_not_sts(request.store), retry_after=_ASK_AGAIN_AFTER) from None
        return _read(request.store, answer)

    async def close(self) -> None:
        """Close the connections to every STS."""
        self._clients.clear()
        await self._open.aclose()

    async def _client(self, store: S3Store) -> Any:
        endpoint_url, region = key = (find_sts_endpoint(store), store.region)
        async with self._opening:
            if key not in self._clients:
                if self._session is None:
                    self._session = get_session()
                self._clients[key] = await self._open.enter_async_context(
                    self._session.create_client(
                        "sts",
                        endpoint_url=endpoint_url,
                        region_name=region,
                        config=_client_config(),
                    )
                )
            return self._clients[key]


def make_role_session_name(person: str, project: str) -> str:
    """Return the name of a session in the store's own logs: ``person@project``, as slugs."""
    limit_person, limit_project = _NAME_PARTS
    return f"{make_slug(person, limit_person)}@{make_slug(project, limit_project)}"


def find_sts_endpoint(store: S3Store) -> str | None:
    """Return the URL of the store's STS; `None` for AWS's own STS in the store's region."""
    return store.sts_endpoint_url or store.endpoint_url


def _client_config() -> AioConfig:
    return AioConfig(
        connect_timeout=5,
        read_timeout=15,
        # StsRetryPolicy retries.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # The collaboration file names the store's address. An AWS_ENDPOINT_URL that is meant
        # for another program must not send the service's keys elsewhere.
        ignore_configured_endpoint_urls=True,
    )


def _read(store: S3Store, answer: Mapping[str, Any]) -> Credential:
    try:
        keys = answer["Credentials"]
        expires: datetime = keys["Expiration"].astimezone(UTC)
        return Credential(
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretAccessKey"],
            session_token=keys["SessionToken"],
            expires=expires,
            renew_after=expires,
        )
    except (KeyError, AttributeError, TypeError):
        # From None: the error could repeat the response, which could contain keys.
        raise VendingError(_not_sts(store)) from None


def _describe(store: S3Store) -> str:
    endpoint = find_sts_endpoint(store) or f"AWS in {store.region}"
    return f"the store s3://{store.bucket}/ (role {store.role_arn}, STS at {endpoint})"


def _not_sts(store: S3Store) -> str:
    return f"{_describe(store)} gave no answer that an STS would give; correct sts_endpoint_url"
