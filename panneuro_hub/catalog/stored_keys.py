"""List the keys of a store, including the odd ones of other programs.

obstore takes a listing apart into paths. It gives up a whole page for one key with a
control character or a doubled ``/``, and it shows the folder marker ``a/`` as a file
``a``. Where a listing has such keys, botocore lists it again: it asks for encoded keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from obstore.exceptions import (
    BaseError,
    GenericError,
    InvalidPathError,
    NotFoundError,
    PermissionDeniedError,
)
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import S3Credential

_CONNECT_TIMEOUT = 20  # seconds
_READ_TIMEOUT = 60  # seconds without a byte
_STATUS_ERRORS = {401: PermissionDeniedError, 403: PermissionDeniedError, 404: NotFoundError}


class StoredKey(NamedTuple):
    """An object of a listing.

    Parameters
    ----------
    path : str
        Its key, relative to the store's prefix. It may hold any character.
    size : int
        In bytes.
    e_tag : str
        Without its quotes; ``""`` if the store lists none.
    """

    path: str
    size: int
    e_tag: str


def list_stored_keys(store: S3Store, folder: str = "") -> Iterator[StoredKey]:
    """Yield every object in a folder; folder markers (empty objects ``a/``) are left out.

    Parameters
    ----------
    folder : str
        Relative to the store's prefix; ``""`` for everything.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    seen: set[str] = set()
    try:
        for page in store.list(folder or None, chunk_size=1000):
            if any(meta["size"] == 0 for meta in page) and isinstance(store, S3Store):
                break  # It may be a folder marker, which obstore cannot tell from a file.
            for meta in page:
                seen.add(meta["path"])
                yield StoredKey(meta["path"], meta["size"], (meta["e_tag"] or "").strip('"'))
        else:
            return
    except InvalidPathError:
        if not isinstance(store, S3Store):
            raise
    for key in _list_odd_keys(store, folder):
        marker = key.path.endswith("/") and key.size == 0
        if not marker and key.path not in seen:
            yield key


def find_key_problem(path: str) -> str | None:
    """Return the reason why our programs cannot open the object of this key, or `None`."""
    if any(ord(letter) < 32 or letter == "\x7f" for letter in path):
        return "its name has a control character in it; rename the object"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "its name has an empty, '.' or '..' part; rename the object"
    return None


def list_folders(store: S3Store, folder: str = "") -> list[str]:
    """Return the folders directly in a folder, sorted, without a ``/`` at their ends.

    Raises
    ------
    obstore.exceptions.BaseError
        If the store cannot be listed.
    """
    try:
        found = list(store.list_with_delimiter(folder or None)["common_prefixes"])
    except InvalidPathError:
        if not isinstance(store, S3Store):
            raise
        root = _find_root(store)
        found = [
            prefix["Prefix"].removeprefix(root)
            for page in _list_pages(store, folder, Delimiter="/")
            for prefix in page.get("CommonPrefixes", [])
        ]
    return sorted({name.rstrip("/") for name in found} - {""})


def _list_odd_keys(store: S3Store, folder: str) -> Iterator[StoredKey]:
    root = _find_root(store)
    for page in _list_pages(store, folder):
        for one in page.get("Contents", []):
            path = one["Key"].removeprefix(root)
            yield StoredKey(path, one["Size"], one.get("ETag", "").strip('"'))


def _list_pages(store: S3Store, folder: str, **options: str) -> Iterator[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    below = f"{folder.rstrip('/')}/" if folder else ""
    try:
        client = _make_client(store)
        try:
            yield from client.get_paginator("list_objects_v2").paginate(
                Bucket=store.config["bucket"], Prefix=_find_root(store) + below, **options
            )
        finally:
            client.close()
    except ClientError as refusal:
        status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _STATUS_ERRORS.get(status, GenericError)(str(refusal)) from refusal
    except BotoCoreError as failure:
        raise GenericError(f"the listing failed: {failure}") from failure


def _find_root(store: S3Store) -> str:
    prefix = str(store.prefix or "").strip("/")
    return f"{prefix}/" if prefix else ""


def _make_client(store: S3Store) -> Any:
    import botocore.session
    from botocore.config import Config

    keys = _find_credential(store)
    endpoint = store.config.get("endpoint")
    return botocore.session.Session().create_client(
        "s3",
        region_name=store.config.get("region"),
        endpoint_url=endpoint,
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        aws_session_token=keys.get("token"),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"total_max_attempts": 2},
            ignore_configured_endpoint_urls=True,
        ),
    )


def _find_credential(store: S3Store) -> S3Credential:
    """Return the keys that the store itself uses: its provider's, its own or the agent's."""
    from botocore.credentials import ContainerProvider

    if store.credential_provider is not None:
        given: S3Credential = store.credential_provider()  # type: ignore[assignment]
        return given
    config: Any = store.config
    if "access_key_id" in config:
        return {
            "access_key_id": config["access_key_id"],
            "secret_access_key": config["secret_access_key"],
            "token": config.get("session_token") or config.get("token"),
            "expires_at": None,
        }
    loaded = ContainerProvider(environ=dict(os.environ)).load()
    if loaded is None:
        raise BaseError("there are no keys with which to list the store")
    frozen = loaded.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "token": frozen.token,
        "expires_at": None,
    }
