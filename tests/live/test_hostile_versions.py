"""In a bucket with versions a session's keys erase nothing, and read only versions of their own.

The versions of the store are the backup (docs/how-to/operate.md): whatever code in a session
does, by mistake or not, what was there before can be brought back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attacker import Answer, post_form
from world import SEEDS, Attack, World, assert_refused, copy_to, made_world, named, raw, secret

from panneuro_hub.devstack.seaweedfs import SeaweedFS

Version = tuple[str, str]
OPEN, THEIRS, FROZEN = "teamA/open.txt", "teamB/secret.txt", "teamA/frozen/paper.txt"


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The bucket with two versions of everything: one from before it had versions, one since."""
    with (
        SeaweedFS(tmp_path_factory.mktemp("versioned"), bucket="lab") as store,
        made_world(store) as world,
    ):
        world.admin.put_bucket_versioning(
            Bucket="lab", VersioningConfiguration={"Status": "Enabled"}
        )
        for key in SEEDS:
            world.admin.put_object(Bucket="lab", Key=key, Body=b"SECRET now")
        yield world


def versions(world: World, key: str = "") -> dict[Version, str]:
    """Every version, with the hash of what is in it."""
    pages = world.admin.get_paginator("list_object_versions").paginate(Bucket="lab", Prefix=key)
    found = [version for page in pages for version in page.get("Versions", ())]
    return {(version["Key"], version["VersionId"]): version["ETag"] for version in found}


def version(world: World, key: str, *, old: bool = True) -> str:
    """The oldest or the newest version of a key; the oldest has no id of its own."""
    if old:
        return "null"
    listed = world.admin.list_object_versions(Bucket="lab", Prefix=key)["Versions"]
    return next(
        str(one["VersionId"]) for one in listed if one["Key"] == key and one["VersionId"] != "null"
    )


@contextmanager
def erased_nothing(world: World) -> Iterator[None]:
    """Every version that there was is there, and holds what it held."""
    before = versions(world)
    assert len(before) >= 2 * len(SEEDS)
    yield
    after = versions(world)
    assert {which: after.get(which) for which in before} == before
    settings = world.admin.get_bucket_versioning(Bucket="lab")
    assert settings["Status"] == "Enabled"


def at(who: str, operation: str, key: str, *, old: bool = True, **more: Any) -> Attack:
    """One operation on a version."""
    return lambda world: world.call(
        who, operation, Key=key, VersionId=version(world, key, old=old), **more
    )


def batch(key: str, *, old: bool = True) -> Attack:
    """Delete a version in a batch: refused ones are told one by one, in an answer of 200."""

    def attack(world: World) -> Answer:
        one = {"Key": key, "VersionId": version(world, key, old=old)}
        answer = world.call("writer", "delete_objects", Delete={"Objects": [one]})
        refused = answer.status == 200 and b"AccessDenied" in answer.body
        return Answer(403, b"AccessDenied") if refused else answer

    return attack


ERASING = {
    "old": at("writer", "delete_object", OPEN),
    "newest": at("writer", "delete_object", OPEN, old=False),
    "bypassing": at("writer", "delete_object", OPEN, old=False, BypassGovernanceRetention=True),
    "frozen": at("writer", "delete_object", FROZEN),
    "another-team": at("writer", "delete_object", THEIRS, old=False),
    "as-reader": at("reader", "delete_object", OPEN),
    "batch-old": batch(OPEN),
    "batch-newest": batch(OPEN, old=False),
    "batch-frozen": batch(FROZEN, old=False),
    "batch-another-team": batch(THEIRS, old=False),
    "no-more-versions": lambda world: world.call(
        "writer", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}
    ),
    "expire-old-ones": lambda world: world.call(
        "writer",
        "put_bucket_lifecycle_configuration",
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "x",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                }
            ]
        },
    ),
    "retention": at(
        "writer",
        "put_object_retention",
        OPEN,
        old=False,
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"},
    ),
    "legal-hold": at("writer", "put_object_legal_hold", OPEN, LegalHold={"Status": "ON"}),
    "lock": lambda world: world.call(
        "writer",
        "put_object_lock_configuration",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"},
    ),
    "tags-of-a-version": at("writer", "put_object_tagging", OPEN, Tagging={"TagSet": []}),
}


@pytest.mark.parametrize("attack", named(ERASING))
def test_no_version_can_be_erased_or_locked(versioned: World, attack: Attack) -> None:
    with erased_nothing(versioned):
        assert_refused(attack(versioned))


READING = {
    "version": at("writer", "get_object", THEIRS, old=False),
    "version-from-before": at("writer", "get_object", THEIRS),
    "head": at("writer", "head_object", THEIRS, old=False),
    "attributes": at(
        "writer", "get_object_attributes", THEIRS, old=False, ObjectAttributes=["ETag"]
    ),
    "tags": at("writer", "get_object_tagging", THEIRS, old=False),
    "neighbour": at("writer", "get_object", "teamAB/secret.txt", old=False),
    "top": at("writer", "get_object", "top.txt", old=False),
    "as-reader": at("reader", "get_object", "shared/stimulus.txt", old=False),
    "copy": lambda world: copy_to(
        "teamA/stolen", f"/lab/{THEIRS}?versionId={version(world, THEIRS, old=False)}"
    )(world),
    "listing": lambda world: world.call("writer", "list_object_versions", Prefix="teamB/"),
    "listing-everything": lambda world: world.call("writer", "list_object_versions"),
    "listing-as-reader": lambda world: world.call(
        "reader", "list_object_versions", Prefix="teamA/"
    ),
    # Where SeaweedFS keeps versions, under names that are none of a client's.
    "as-the-store-keeps-it": lambda world: world.call(
        "writer", "get_object", Key=f"{THEIRS}.versions/v_{version(world, THEIRS, old=False)}"
    ),
    "listing-as-the-store-keeps-it": lambda world: world.call(
        "writer", "list_objects_v2", Prefix=f"{THEIRS}.versions/"
    ),
}


@pytest.mark.parametrize("attack", named(READING))
def test_no_version_is_read_outside_the_grants(versioned: World, attack: Attack) -> None:
    with erased_nothing(versioned):
        assert_refused(attack(versioned))


def test_what_was_deleted_or_replaced_can_be_brought_back(versioned: World) -> None:
    key = "teamA/sub/deep.txt"
    with erased_nothing(versioned):
        assert versioned.call("writer", "put_object", Key=key, Body=b"mistake").status == 200
        assert versioned.call("writer", "delete_object", Key=key).status == 204
        assert versioned.call("writer", "get_object", Key=key).status == 404
        listed = versioned.call("writer", "list_object_versions", Prefix=key)
        assert b"null" in listed.body
        old = versioned.call("writer", "get_object", Key=key, VersionId="null")
        assert old.body == secret(key)
        assert copy_to(key, f"/lab/{key}?versionId=null")(versioned).status == 200
        assert versioned.call("writer", "get_object", Key=key).body == secret(key)


# Ways to write or delete a key, none of which names a version.


def _parts(world: World, key: str) -> object:
    writer, whose = world.clients["writer"], {"Bucket": "lab", "Key": key}
    upload = writer.create_multipart_upload(**whose)["UploadId"]
    etag = writer.upload_part(**whose, UploadId=upload, PartNumber=1, Body=b"EVIL")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return writer.complete_multipart_upload(**whose, UploadId=upload, MultipartUpload=parts)


def _form(world: World, key: str) -> object:
    fields = world.clients["writer"].generate_presigned_post("lab", key)["fields"]
    return post_form(world.url, "/lab", fields, b"EVIL")


def _rename(world: World, source: str, target: str) -> object:
    headers = {"x-amz-rename-source": f"/lab/{source}"}
    return raw("writer", "PUT", f"/lab/{target}?renameObject=", headers=headers)(world)


def _delete_many(world: World, one: dict[str, str]) -> object:
    return world.call("writer", "delete_objects", Delete={"Objects": [one]})


WAYS: dict[str, Callable[[World, str], object]] = {
    "put": lambda world, key: world.call("writer", "put_object", Key=key, Body=b"EVIL"),
    "put-folder": lambda world, key: world.call("writer", "put_object", Key=f"{key}/", Body=b""),
    "put-below": lambda world, key: world.call("writer", "put_object", Key=f"{key}/x", Body=b"E"),
    "append": lambda world, key: world.call(
        "writer", "put_object", Key=key, Body=b"EVIL", WriteOffsetBytes=4
    ),
    "put-version": lambda world, key: world.raw(
        "writer", "PUT", f"/lab/{key}?versionId=null", body=b"EVIL"
    ),
    "put-two-slashes": lambda world, key: world.raw(
        "writer", "PUT", f"/lab/{key.replace('/', '//')}", body=b"EVIL"
    ),
    "delete": lambda world, key: world.call("writer", "delete_object", Key=key),
    "delete-folder": lambda world, key: world.call("writer", "delete_object", Key=f"{key}/"),
    "delete-two-slashes": lambda world, key: world.raw(
        "writer", "DELETE", f"/lab/{key.replace('/', '//')}"
    ),
    "delete-otherwise-spelt": lambda world, key: world.raw(
        "writer", "DELETE", f"/lab/{key}?VersionId=null&versionid=null"
    ),
    "batch": lambda world, key: _delete_many(world, {"Key": key}),
    "batch-folder": lambda world, key: _delete_many(world, {"Key": f"{key}/"}),
    "batch-empty-version": lambda world, key: _delete_many(world, {"Key": key, "VersionId": ""}),
    "copy-onto": lambda world, key: copy_to(key, "/lab/shared/stimulus.txt")(world),
    "copy-onto-itself": lambda world, key: raw(
        "writer",
        "PUT",
        f"/lab/{key}",
        headers={"x-amz-copy-source": f"/lab/{key}", "x-amz-metadata-directive": "REPLACE"},
    )(world),
    "parts": _parts,
    "form": _form,
    "rename-away": lambda world, key: _rename(world, key, "teamA/elsewhere"),
    "rename-onto": lambda world, key: _rename(world, "teamA/frozen/paper.txt", key),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kept", ["key", "folder", "file"])
def test_no_way_to_write_touches_what_was_there(
    versioned: World, way: Callable[[World, str], object], kept: str
) -> None:
    """SeaweedFS keeps the versions of ``KEY`` as files in a folder ``KEY.versions``."""
    key = f"teamA/{kept}-{time.monotonic_ns()}.txt"
    for content in (b"SECRET one", b"SECRET two"):
        versioned.admin.put_object(Bucket="lab", Key=key, Body=content)
    ids = [found for name, found in versions(versioned, key) if name == key]
    assert len(ids) == 2
    below = {"key": "", "folder": ".versions", "file": f".versions/v_{ids[1]}"}[kept]
    with erased_nothing(versioned):
        try:
            way(versioned, f"{key}{below}")
        finally:
            assert {
                versioned.call("admin", "get_object", Key=key, VersionId=one).body for one in ids
            } == {b"SECRET one", b"SECRET two"}
