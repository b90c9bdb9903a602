"""Somebody with a session's keys who tries everything, and the store as it should stay."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from panneuro_hub.wire import Credential

_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    retries={"total_max_attempts": 1},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@dataclass(frozen=True)
class Answer:
    """What the store answered to one HTTP request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Keys:
    """Any keys: an identity's, or a session's with its token."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, credential: Credential) -> Keys:
        return cls(credential.access_key_id, credential.secret_access_key, credential.session_token)


@contextmanager
def client(keys: Keys, endpoint_url: str, service: str = "s3") -> Iterator[Any]:
    """A boto3 client with `keys` and no others."""
    made = boto3.session.Session().client(
        service,
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=_CONFIG,
    )
    try:
        yield made
    finally:
        made.close()


def send(
    url: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One HTTP request whose target goes over the wire exactly as it is."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": place.netloc, **(headers or {})}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))
    finally:
        connection.close()


def signed(
    keys: Keys,
    url: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    signed_as: str | None = None,
) -> Answer:
    """One request with SigV4 over `signed_as` (else `target`), the path not normalised."""
    netloc = urlsplit(url).netloc
    request = AWSRequest(
        method,
        f"http://{netloc}{signed_as or target}",
        headers={
            "Host": netloc,
            "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest(),
            **(headers or {}),
        },
        data=body,
    )
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    sent = {name: value for name, value in request.headers.items() if name.lower() != "host"}
    return send(url, method, target, sent, body)


def readings(path: str) -> list[str]:
    """The ways in which a server might read a path before it checks the signature."""
    decoded = unquote(path)
    segments: list[str] = []
    for segment in decoded.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    found = [
        path,
        quote(decoded, safe="/~"),
        quote(unquote(decoded), safe="/~"),
        quote(path, safe="/~"),
        quote("/" + "/".join(segments), safe="/~"),
    ]
    return list(dict.fromkeys(found))


def post_form(url: str, target: str, fields: Mapping[str, str], content: bytes) -> Answer:
    """An upload as an HTML form makes it."""
    boundary = "panneuro-boundary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = b"".join([*parts, file.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return send(url, "POST", target, kind, body)
