"""A bucket of several teams, who has keys in it, and what of it must never change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from attacker import Answer, Keys, client, send, signed
from botocore.exceptions import ClientError
from short_sessions import lab_store, vendor_session

from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest, Vending
from panneuro_hub.vending.s3_credentials import S3CredentialMaker
from panneuro_hub.wire import AccessMode, Credential, Grant

SEEDS = (
    "top.txt",
    "shared/stimulus.txt",
    "teamA/open.txt",
    "teamA/sub/deep.txt",
    "teamA/frozen/paper.txt",
    "teamA/frozen/sub/data.txt",
    "teamAB/secret.txt",
    "teamB/secret.txt",
)
GRANTS: dict[str, tuple[tuple[str, AccessMode], ...]] = {
    # A write prefix with a frozen one inside, and another project to read.
    "writer": (("teamA/", "write"), ("teamA/frozen/", "read"), ("shared/", "read")),
    "reader": (("teamA/", "read"),),
}


def secret(key: str) -> bytes:
    """What lies at `key`."""
    return f"SECRET of {key}".encode()


def vend(seaweedfs: SeaweedFS, grants: Sequence[tuple[str, AccessMode]], person: str) -> Credential:
    """A credential as the service would get it."""

    async def ask() -> Credential:
        vending = Vending({"s3": S3CredentialMaker(session=vendor_session(seaweedfs))})
        try:
            given = tuple(
                Grant(f"s3://{seaweedfs.bucket}/{key}", mode, "for the test", "project")
                for key, mode in grants
            )
            store = lab_store(seaweedfs)
            request = CredentialRequest(f"{person}/", person, "project", store, given)
            return (await vending.credential(request)).credential
        finally:
            await vending.close()

    return asyncio.run(ask())


@dataclass
class World:
    """The bucket, and clients of everybody who has keys."""

    seaweedfs: SeaweedFS
    keys: dict[str, Keys]
    clients: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.seaweedfs.endpoint_url

    @property
    def admin(self) -> Any:
        return self.clients["admin"]

    def call(self, who: str, operation: str, **parameters: Any) -> Answer:
        """One S3 operation on the bucket; an error is an answer too."""
        given = {"Bucket": self.seaweedfs.bucket, **parameters}
        try:
            answer = getattr(self.clients[who], operation)(**given)
        except ClientError as error:
            said = error.response
            status = said["ResponseMetadata"]["HTTPStatusCode"]
            return Answer(status, said["Error"]["Code"].encode())
        status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        return Answer(status, answer["Body"].read() if "Body" in answer else repr(answer).encode())

    def raw(self, who: str | None, method: str, target: str, **given: Any) -> Answer:
        """One HTTP request to S3, signed with somebody's keys or by nobody."""
        if who is None:
            return send(self.url, method, target, **given)
        return signed(self.keys[who], self.url, method, target, **given)

    def content(self) -> dict[str, str]:
        """Every object, with the hash of what is in it."""
        pages = self.admin.get_paginator("list_objects_v2").paginate(Bucket=self.seaweedfs.bucket)
        return {found["Key"]: found["ETag"] for page in pages for found in page.get("Contents", [])}

    def uploads_under_way(self) -> set[tuple[str, str]]:
        """Key and id of every multipart upload that is not finished."""
        found = self.admin.list_multipart_uploads(Bucket=self.seaweedfs.bucket)
        return {(one["Key"], one["UploadId"]) for one in found.get("Uploads", [])}

    def parts(self, key: str) -> list[tuple[int, str]]:
        """The parts of the upload to `key`."""
        found = self.admin.list_parts(
            Bucket=self.seaweedfs.bucket, Key=key, UploadId=self.uploads[key]
        )
        return [(part["PartNumber"], part["ETag"]) for part in found.get("Parts", [])]

    def settings(self) -> dict[str, Answer]:
        """The bucket's own settings, and which buckets there are."""
        read = ("policy", "versioning", "lifecycle_configuration", "acl", "cors", "tagging")
        found = {name: self.call("admin", f"get_bucket_{name}") for name in read}
        buckets = sorted(one["Name"] for one in self.admin.list_buckets()["Buckets"])
        return {**found, "buckets": Answer(200, repr(buckets).encode())}


Attack = Callable[[World], Answer]


def call(who: str, operation: str, **parameters: Any) -> Attack:
    """One S3 operation, to be done later."""
    return lambda world: world.call(who, operation, **parameters)


def raw(who: str | None, method: str, target: str, **given: Any) -> Attack:
    """One HTTP request, to be sent later."""
    return lambda world: world.raw(who, method, target, **given)


def copy_to(target: str, source: str, who: str = "writer") -> Attack:
    """A copy whose source goes over the wire exactly as it is."""
    return raw(who, "PUT", f"/lab/{target}", headers={"x-amz-copy-source": source})


def named(attacks: dict[str, Attack]) -> list[Any]:
    """For `pytest.mark.parametrize`."""
    return [pytest.param(attack, id=name) for name, attack in attacks.items()]


def assert_refused(answer: Answer) -> None:
    assert answer.status == 403, (answer.status, answer.body[:300])
    assert b"SECRET" not in answer.body


@contextmanager
def unchanged(world: World, *, but: tuple[str, ...] = ()) -> Iterator[None]:
    """Nothing is other than before, except keys that start with one of `but`."""

    def look() -> tuple[dict[str, str], set[tuple[str, str]]]:
        content = {key: tag for key, tag in world.content().items() if not key.startswith(but)}
        return content, world.uploads_under_way()

    before = look()
    yield
    assert look() == before


@contextmanager
def made_world(seaweedfs: SeaweedFS) -> Iterator[World]:
    """The bucket with everything in it, cleared at the end."""
    keys = {name: Keys.of(vend(seaweedfs, grants, name)) for name, grants in GRANTS.items()}
    keys["admin"] = Keys(*seaweedfs.admin)
    keys["vendor"] = Keys(*seaweedfs.vendor)
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(client(theirs, seaweedfs.endpoint_url))
            for name, theirs in keys.items()
        }
        world = World(seaweedfs, keys, clients)
        fill(world)
        yield world
        clear(world)


def fill(world: World) -> None:
    bucket = world.seaweedfs.bucket
    for key in SEEDS:
        world.admin.put_object(Bucket=bucket, Key=key, Body=secret(key))
    for key in ("teamB/upload.bin", "teamA/frozen/upload.bin"):
        started = world.admin.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        world.admin.upload_part(
            Bucket=bucket, Key=key, UploadId=started, PartNumber=1, Body=secret(key)
        )
        world.uploads[key] = started


def clear(world: World) -> None:
    bucket = world.seaweedfs.bucket
    for key, upload in world.uploads_under_way():
        world.admin.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    for key in world.content():
        world.admin.delete_object(Bucket=bucket, Key=key)
