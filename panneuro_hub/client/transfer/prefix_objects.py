"""The objects below one prefix, as an upload or a download needs them.

Two kept engines do the work. obstore sends and fetches whole objects: many small
requests at a time cost it little. Large objects go in parts through botocore, since
an upload in parts has to be found again and continued by another process: obstore
keeps the id of such an upload to itself, and rclone and the AWS command line begin
anew.

Each request carries a checksum of its content, for the store to refuse what was
damaged on the way. The signature alone does not do that: there are stores that take
other content than was signed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_plus

from obstore.store import S3Store

from panneuro_hub.catalog.stored_keys import list_stored_keys
from panneuro_hub.client.credential_source import CredentialSource
from panneuro_hub.client.transfer.engine_errors import ENGINE_ERRORS, translate_error
from panneuro_hub.client.transfer.part_plan import compute_multipart_etag
from panneuro_hub.client.transfer.pool import MAX_REQUESTS
from panneuro_hub.client.transfer_errors import StoreError
from panneuro_hub.errors import ServiceUnavailableError
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import SessionView
from panneuro_hub.wire.credential import format_time

if TYPE_CHECKING:
    from obstore import PutResult
    from obstore.store import ClientConfig, S3Config, S3Credential

T = TypeVar("T")

_CONNECT_TIMEOUT = 20  # seconds
_READ_TIMEOUT = 120  # seconds without a byte


@dataclass(frozen=True)
class ObjectMetadata:
    """An object of a listing; `etag` is without its quotes."""

    size: int
    etag: str


@dataclass(frozen=True)
class StoredPart:
    """A part that is there."""

    number: int
    size: int
    etag: str


class PrefixObjects:
    """The objects below `root`; paths are seen from there.

    Parameters
    ----------
    view : SessionView
        Says where the store is.
    keys : CredentialSource
    root : StorageLocation
        A prefix.

    Each method raises `StoreError`, and `AccessDenied` or `ServiceUnavailableError` where it
    is the keys that do not come.
    """

    def __init__(self, view: SessionView, keys: CredentialSource, root: StorageLocation) -> None:
        self.root = root
        self._keys = keys
        self._whole = _make_obstore(view, keys, root)
        self._view = view
        # Until the store says that it does not know such conditions.
        self._conditional = True

    @cached_property
    def _parts(self) -> Any:
        # Made when it is wanted: reading alone does without it.
        return _make_botocore(self._view, self._keys)

    @property
    def store(self) -> S3Store:
        """The same place, for what works on an obstore store."""
        return self._whole

    def guarded(self, what: str, call: Callable[[], T]) -> T:
        """Return the result of `call`, with the store client's exceptions translated."""
        try:
            return call()
        except ServiceUnavailableError as outage:
            raise StoreError("again", f"{what}: {outage}") from outage
        except ENGINE_ERRORS as error:
            failure = translate_error(error, what)
            self._keys.raise_cause(failure)
            raise failure from error

    def list_objects(self, below: str = "") -> dict[str, ObjectMetadata]:
        """Every object below a folder, by path."""

        def look() -> dict[str, ObjectMetadata]:
            return {
                key.path: ObjectMetadata(key.size, key.e_tag)
                for key in list_stored_keys(self._whole, below)
            }

        return self.guarded("listing what is there", look)

    def look(self, path: str) -> ObjectMetadata | None:
        """Return the object at `path`, or `None` if there is none."""

        def ask() -> ObjectMetadata:
            found = self._whole.head(path)
            return ObjectMetadata(found["size"], (found["e_tag"] or "").strip('"'))

        return _none_if_missing(lambda: self.guarded(f"looking at {path}", ask))

    def sha256(self, path: str) -> str | None:
        """The SHA-256 that the store keeps of a whole object; `None` where it keeps none."""

        def ask() -> str | None:
            found = self._parts.head_object(**self._at(path), ChecksumMode="ENABLED")
            kept = found.get("ChecksumSHA256", "")
            return base64.b64decode(kept).hex() if kept and "-" not in kept else None

        return self.guarded(f"looking at {path}", ask)

    def put(self, path: str, data: bytes, *, replace: bool) -> str:
        """Write an object and return its ETag; raise ``exists`` if one is not to be replaced."""
        return self.guarded(f"sending {path}", lambda: self._put(path, data, replace))

    def get(self, path: str) -> memoryview:
        """A whole object."""
        return self.guarded(f"fetching {path}", lambda: memoryview(self._whole.get(path).bytes()))

    def get_range(self, path: str, start: int, size: int) -> memoryview:
        """A piece of an object."""
        return self.guarded(
            f"fetching {path}",
            lambda: memoryview(self._whole.get_range(path, start=start, length=size)),
        )

    def delete(self, path: str) -> None:
        """Delete an object."""
        self.guarded(f"deleting {path}", lambda: self._whole.delete(path))

    def list_unfinished(self, below: str = "") -> dict[str, list[str]]:
        """The ids of uploads in parts that were begun and not finished, by path."""

        def look() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for key, upload in self._unfinished(self.root.key + below):
                path = key.removeprefix(self.root.key)
                found.setdefault(path, []).append(upload)
            return found

        return self.guarded("looking for uploads that were broken off", look)

    def list_parts(self, path: str, upload: str) -> list[StoredPart]:
        """The parts of an upload that are there; SeaweedFS lists a part twice that came twice."""

        def look() -> list[StoredPart]:
            pages = self._parts.get_paginator("list_parts").paginate(
                **self._at(path), UploadId=upload
            )
            return [
                StoredPart(part["PartNumber"], part["Size"], part["ETag"].strip('"'))
                for page in pages
                for part in page.get("Parts", [])
            ]

        return self.guarded(f"looking at what has arrived of {path}", look)

    def begin(self, path: str) -> str:
        """Begin an upload in parts; gives its id."""
        made = self.guarded(
            f"sending {path}", lambda: self._parts.create_multipart_upload(**self._at(path))
        )
        return str(made["UploadId"])

    def send_part(self, path: str, upload: str, number: int, data: bytes, md5: bytes) -> str:
        """Send one part; gives its ETag."""
        made = self.guarded(
            f"sending {path}",
            lambda: self._parts.upload_part(
                **self._at(path),
                UploadId=upload,
                PartNumber=number,
                Body=data,
                ContentMD5=base64.b64encode(md5).decode(),
            ),
        )
        return str(made["ETag"]).strip('"')

    def complete(self, path: str, upload: str, etags: list[str], *, replace: bool) -> str:
        """Make an object of parts 1 to n and return its ETag; raise as `put`."""
        return self.guarded(f"sending {path}", lambda: self._complete(path, upload, etags, replace))

    def abort(self, path: str, upload: str) -> None:
        """Forget an upload in parts, and what has arrived of it."""
        self.guarded(
            f"giving up {path}",
            lambda: self._parts.abort_multipart_upload(**self._at(path), UploadId=upload),
        )

    def close(self) -> None:
        """Close all connections."""
        if "_parts" in vars(self):
            self._parts.close()

    def _put(self, path: str, data: bytes, replace: bool) -> str:
        if replace or not self._conditional:
            if not replace:
                self._must_be_free(path)
            return _read_etag(self._whole.put(path, data, use_multipart=False))
        try:
            return _read_etag(self._whole.put(path, data, mode="create", use_multipart=False))
        except ENGINE_ERRORS as error:
            if translate_error(error, path).store_code != "NotImplemented":
                raise
            self._conditional = False
            return self._put(path, data, replace)

    def _complete(self, path: str, upload: str, etags: list[str], replace: bool) -> str:
        parts = [
            {"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)
        ]
        condition = {} if replace or not self._conditional else {"IfNoneMatch": "*"}
        if not replace and not self._conditional:
            self._must_be_free(path)
        try:
            made = self._parts.complete_multipart_upload(
                **self._at(path),
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **condition,
            )
        except ENGINE_ERRORS as error:
            if not condition or translate_error(error, path).store_code != "NotImplemented":
                raise
            self._conditional = False
            return self._complete(path, upload, etags, replace)
        return str(made.get("ETag", "")).strip('"')

    def _must_be_free(self, path: str) -> None:
        if self.look(path) is not None:
            raise StoreError("exists", f"{path} is there already", "PreconditionFailed")

    def _unfinished(self, prefix: str) -> Iterator[tuple[str, str]]:
        # A key may have characters that XML does not have.
        pages = self._parts.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.root.bucket, Prefix=prefix, EncodingType="url"
        )
        for page in pages:
            plain = unquote_plus if page.get("EncodingType") == "url" else str
            for upload in page.get("Uploads", []):
                yield plain(upload["Key"]), upload["UploadId"]

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self.root.bucket, "Key": self.root.key + path}


def has_same_content(meta: ObjectMetadata, size: int, md5: bytes) -> bool:
    """Return whether an object, written at once or as one part, is known to hold these bytes."""
    return meta.size == size and meta.etag in (md5.hex(), compute_multipart_etag([md5]))


def digest_data(data: bytes) -> tuple[str, bytes]:
    """SHA-256, as manifests have it, and MD5, which stores call an object's ETag."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    return hashlib.sha256(data).hexdigest(), md5


def _read_etag(made: PutResult) -> str:
    return (made["e_tag"] or "").strip('"')


def _none_if_missing(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except StoreError as failure:
        if failure.kind != "missing":
            raise
        return None


def _make_obstore(view: SessionView, keys: CredentialSource, root: StorageLocation) -> S3Store:
    config: S3Config = {"region": view.region, "checksum_algorithm": "SHA256"}
    if view.endpoint_url is not None:
        config["endpoint"] = view.endpoint_url
    client: ClientConfig = {
        "connect_timeout": f"{_CONNECT_TIMEOUT}s",
        "read_timeout": f"{_READ_TIMEOUT}s",
        # For all of a request: a slow line takes long for 16 MiB, 32 times at once.
        "timeout": "3600s",
    }
    if view.endpoint_url is not None and view.endpoint_url.startswith("http://"):
        client["allow_http"] = True

    def credential() -> S3Credential:
        made = keys.current()
        return {
            "access_key_id": made.access_key_id,
            "secret_access_key": made.secret_access_key,
            "token": made.session_token,
            "expires_at": made.expires,
        }

    return S3Store(
        root.bucket,
        prefix=root.key,
        config=config,
        client_options=client,
        # Trying again is for `Patience` alone, which knows what can help.
        retry_config={"max_retries": 0},
        credential_provider=credential,
    )


def _make_botocore(view: SessionView, keys: CredentialSource) -> Any:
    import botocore.session
    from botocore.config import Config

    session = botocore.session.Session()
    # No other source of keys: not the environment, no profile, no machine's role.
    session.get_component("credential_provider").providers = [_CredentialProvider(keys)]
    return session.create_client(
        "s3",
        region_name=view.region,
        endpoint_url=view.endpoint_url,
        config=Config(
            signature_version="s3v4",
            s3={
                "addressing_style": "path" if view.endpoint_url else "auto",
                # The signature covers the Content-MD5, which every request with content has.
                "payload_signing_enabled": False,
            },
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            max_pool_connections=MAX_REQUESTS,
            retries={"total_max_attempts": 1},
            # Each request has its Content-MD5, which every store knows.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
        ),
    )


class _CredentialProvider:
    """A source of keys, in the form that botocore looks for."""

    METHOD = "panneuro"
    CANONICAL_NAME = "panneuro"

    def __init__(self, keys: CredentialSource) -> None:
        self._keys = keys

    def load(self) -> Any:
        from botocore.credentials import RefreshableCredentials

        return RefreshableCredentials.create_from_metadata(
            self._metadata(), refresh_using=self._metadata, method=self.METHOD
        )

    def _metadata(self) -> dict[str, str]:
        made = self._keys.current()
        return {
            "access_key": made.access_key_id,
            "secret_key": made.secret_access_key,
            "token": made.session_token,
            "expiry_time": format_time(made.expires),
        }
