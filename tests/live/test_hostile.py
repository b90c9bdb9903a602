"""What a session's keys cannot do in S3; and, so that this means something, what they can."""

from __future__ import annotations

import json

import pytest
from attacker import Answer, post_form
from world import Attack, World, assert_refused, call, copy_to, named, raw, secret, unchanged

CAN = {
    "get": call("writer", "get_object", Key="teamA/open.txt"),
    "head": call("writer", "head_object", Key="teamA/open.txt"),
    "get-range": call("writer", "get_object", Key="teamA/open.txt", Range="bytes=0-3"),
    "get-frozen": call("writer", "get_object", Key="teamA/frozen/paper.txt"),
    "get-from-project-that-is-read": call("writer", "get_object", Key="shared/stimulus.txt"),
    "get-as-reader": call("reader", "get_object", Key="teamA/sub/deep.txt"),
    "list": call("writer", "list_objects_v2", Prefix="teamA/"),
    "list-v1": call("writer", "list_objects", Prefix="teamA/"),
    "list-folder": call("writer", "list_objects_v2", Prefix="teamA/", Delimiter="/"),
    "list-deeper": call("writer", "list_objects_v2", Prefix="teamA/sub/"),
    "list-frozen": call("writer", "list_objects_v2", Prefix="teamA/frozen/"),
    "list-project-that-is-read": call("writer", "list_objects_v2", Prefix="shared/"),
    "list-as-reader": call("reader", "list_objects_v2", Prefix="teamA/"),
    "list-versions": call("writer", "list_object_versions", Prefix="teamA/"),
    "list-uploads": call("writer", "list_multipart_uploads", Prefix="teamA/"),
}


@pytest.mark.parametrize("use", named(CAN))
def test_can_read_and_list_inside(world: World, use: Attack) -> None:
    with unchanged(world):
        answer = use(world)
    assert answer.status in (200, 206), answer.body


def test_can_write_copy_and_delete_inside(world: World) -> None:
    with unchanged(world):
        body = b"mine"
        assert world.call("writer", "put_object", Key="teamA/new", Body=body).status == 200
        assert world.content().keys() >= {"teamA/new"}
        assert copy_to("teamA/copy", "/lab/shared/stimulus.txt")(world).status == 200
        got = world.call("writer", "get_object", Key="teamA/copy")
        assert got.body == secret("shared/stimulus.txt")
        assert copy_to("teamA/from-frozen", "/lab/teamA/frozen/paper.txt")(world).status == 200
        assert world.call("writer", "delete_object", Key="teamA/new").status == 204
        objects = [{"Key": "teamA/copy"}, {"Key": "teamA/from-frozen"}]
        assert world.call("writer", "delete_objects", Delete={"Objects": objects}).status == 200


def test_can_upload_in_parts_and_copy_into_a_part(world: World) -> None:
    writer, key = world.clients["writer"], "teamA/big.bin"
    large = b"x" * (5 * 2**20)
    with unchanged(world):
        upload = writer.create_multipart_upload(Bucket="lab", Key=key)["UploadId"]
        whose = {"Bucket": "lab", "Key": key, "UploadId": upload}
        first = writer.upload_part(**whose, PartNumber=1, Body=large)["ETag"]
        second = writer.upload_part_copy(
            **whose, PartNumber=2, CopySource="lab/shared/stimulus.txt"
        )["CopyPartResult"]["ETag"]
        assert len(writer.list_parts(**whose)["Parts"]) == 2
        parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
        writer.complete_multipart_upload(**whose, MultipartUpload={"Parts": parts})
        got = writer.get_object(Bucket="lab", Key=key)["Body"].read()
        assert got == large + secret("shared/stimulus.txt")
        writer.delete_object(Bucket="lab", Key=key)


def test_can_give_up_an_upload(world: World) -> None:
    writer = world.clients["writer"]
    with unchanged(world):
        upload = writer.create_multipart_upload(Bucket="lab", Key="teamA/big.bin")["UploadId"]
        writer.abort_multipart_upload(Bucket="lab", Key="teamA/big.bin", UploadId=upload)


READING = {
    "neighbour-that-begins-alike": call("writer", "get_object", Key="teamAB/secret.txt"),
    "another-team": call("writer", "get_object", Key="teamB/secret.txt"),
    "top-of-the-bucket": call("writer", "get_object", Key="top.txt"),
    "what-is-not-there-elsewhere": call("writer", "get_object", Key="teamB/no-such-key"),
    "head-another-team": call("writer", "head_object", Key="teamB/secret.txt"),
    "attributes": call(
        "writer", "get_object_attributes", Key="teamB/secret.txt", ObjectAttributes=["ETag"]
    ),
    "version": call("writer", "get_object", Key="teamB/secret.txt", VersionId="null"),
    "part": call("writer", "get_object", Key="teamB/secret.txt", PartNumber=1),
    "acl": call("writer", "get_object_acl", Key="teamB/secret.txt"),
    "tags": call("writer", "get_object_tagging", Key="teamB/secret.txt"),
    "tags-of-own": call("writer", "get_object_tagging", Key="teamA/open.txt"),
    "project-that-only-another-reads": call("reader", "get_object", Key="shared/stimulus.txt"),
    "no-such-bucket": call("writer", "get_object", Bucket="other", Key="teamA/open.txt"),
    "slash-before-the-key": raw("writer", "GET", "/lab//teamB/secret.txt"),
}

LISTING = {
    "everything": call("writer", "list_objects_v2"),
    "everything-v1": call("writer", "list_objects"),
    "empty-prefix": call("writer", "list_objects_v2", Prefix=""),
    "prefix-without-slash": call("writer", "list_objects_v2", Prefix="teamA"),
    "prefix-without-slash-v1": call("writer", "list_objects", Prefix="teamA"),
    "part-of-a-name": call("writer", "list_objects_v2", Prefix="team"),
    "another-team": call("writer", "list_objects_v2", Prefix="teamB/"),
    "neighbour-that-begins-alike": call("writer", "list_objects_v2", Prefix="teamAB/"),
    "folders-at-the-top": call("writer", "list_objects_v2", Delimiter="/"),
    "folders-at-the-top-v1": call("writer", "list_objects", Delimiter="/"),
    "delimiter-in-the-name": call("writer", "list_objects_v2", Prefix="team", Delimiter="B"),
    "slash-before-the-prefix": call("writer", "list_objects_v2", Prefix="/teamB/"),
    "star": call("writer", "list_objects_v2", Prefix="*"),
    "start-after-without-prefix": call("writer", "list_objects_v2", StartAfter="teamA/"),
    "foreign-prefix-first": raw(
        "writer", "GET", "/lab?list-type=2&prefix=teamB%2F&prefix=teamA%2F"
    ),
    "prefix-under-another-name": raw("writer", "GET", "/lab?Prefix=teamA%2F"),
    "versions": call("writer", "list_object_versions"),
    "versions-of-another-team": call("writer", "list_object_versions", Prefix="teamB/"),
    "versions-without-slash": call("writer", "list_object_versions", Prefix="teamA"),
    "versions-as-reader": call("reader", "list_object_versions", Prefix="teamA/"),
    "uploads": call("writer", "list_multipart_uploads"),
    "uploads-of-another-team": call("writer", "list_multipart_uploads", Prefix="teamB/"),
    "uploads-as-reader": call("reader", "list_multipart_uploads", Prefix="teamA/"),
    "parts-of-another-upload": lambda world: world.call(
        "writer", "list_parts", Key="teamB/upload.bin", UploadId=world.uploads["teamB/upload.bin"]
    ),
    "project-that-only-another-reads": call("reader", "list_objects_v2", Prefix="shared/"),
    "head-bucket": call("writer", "head_bucket"),
}

WRITING = {
    "another-team": call("writer", "put_object", Key="teamB/new", Body=b"EVIL"),
    "over-another-team": call("writer", "put_object", Key="teamB/secret.txt", Body=b"EVIL"),
    "neighbour-that-begins-alike": call("writer", "put_object", Key="teamAB/new", Body=b"EVIL"),
    "top-of-the-bucket": call("writer", "put_object", Key="new", Body=b"EVIL"),
    "name-of-the-prefix": call("writer", "put_object", Key="teamA", Body=b"EVIL"),
    "folder-of-another-team": call("writer", "put_object", Key="teamB/", Body=b""),
    "read-grant": call("writer", "put_object", Key="shared/new", Body=b"EVIL"),
    "as-reader": call("reader", "put_object", Key="teamA/new", Body=b"EVIL"),
    "frozen-new": call("writer", "put_object", Key="teamA/frozen/new", Body=b"EVIL"),
    "frozen-over": call("writer", "put_object", Key="teamA/frozen/paper.txt", Body=b"EVIL"),
    "frozen-folder": call("writer", "put_object", Key="teamA/frozen/", Body=b""),
    "frozen-by-two-slashes": raw("writer", "PUT", "/lab/teamA//frozen/paper.txt", body=b"EVIL"),
    "delete-another-team": call("writer", "delete_object", Key="teamB/secret.txt"),
    "delete-neighbour": call("writer", "delete_object", Key="teamAB/secret.txt"),
    "delete-top": call("writer", "delete_object", Key="top.txt"),
    "delete-own-prefix-without-slash": call("writer", "delete_object", Key="teamA"),
    "delete-read-grant": call("writer", "delete_object", Key="shared/stimulus.txt"),
    "delete-as-reader": call("reader", "delete_object", Key="teamA/open.txt"),
    "delete-frozen": call("writer", "delete_object", Key="teamA/frozen/paper.txt"),
    "delete-frozen-folder": call("writer", "delete_object", Key="teamA/frozen/"),
    "delete-frozen-by-two-slashes": raw("writer", "DELETE", "/lab/teamA//frozen/paper.txt"),
    "delete-version": call("writer", "delete_object", Key="teamB/secret.txt", VersionId="null"),
    "delete-version-frozen": call(
        "writer", "delete_object", Key="teamA/frozen/paper.txt", VersionId="null"
    ),
    "start-upload-another-team": call("writer", "create_multipart_upload", Key="teamB/new"),
    "start-upload-read-grant": call("writer", "create_multipart_upload", Key="shared/new"),
    "start-upload-frozen": call("writer", "create_multipart_upload", Key="teamA/frozen/new"),
    "start-upload-as-reader": call("reader", "create_multipart_upload", Key="teamA/new"),
    "acl-of-own": call("writer", "put_object_acl", Key="teamA/open.txt", ACL="public-read"),
    "acl-of-another-team": call(
        "writer", "put_object_acl", Key="teamB/secret.txt", ACL="public-read"
    ),
    "tags-of-another-team": call(
        "writer", "put_object_tagging", Key="teamB/secret.txt", Tagging={"TagSet": []}
    ),
    "legal-hold": call(
        "writer", "put_object_legal_hold", Key="teamA/open.txt", LegalHold={"Status": "ON"}
    ),
    "form-another-team": lambda world: form(world, "writer", "teamB/new"),
    "form-frozen": lambda world: form(world, "writer", "teamA/frozen/new"),
    "form-as-reader": lambda world: form(world, "reader", "teamA/new"),
    "rename-from-another-team": raw(
        "writer",
        "PUT",
        "/lab/teamA/new?renameObject=",
        headers={"x-amz-rename-source": "/lab/teamB/secret.txt"},
    ),
    "rename-from-frozen": raw(
        "writer",
        "PUT",
        "/lab/teamA/new?renameObject=",
        headers={"x-amz-rename-source": "/lab/teamA/frozen/paper.txt"},
    ),
}

COPYING = {
    "from-another-team": copy_to("teamA/stolen", "/lab/teamB/secret.txt"),
    "from-neighbour": copy_to("teamA/stolen", "/lab/teamAB/secret.txt"),
    "from-top": copy_to("teamA/stolen", "/lab/top.txt"),
    "from-version": copy_to("teamA/stolen", "/lab/teamB/secret.txt?versionId=null"),
    "from-encoded": copy_to("teamA/stolen", "lab%2FteamB%2Fsecret.txt"),
    "from-two-slashes": copy_to("teamA/stolen", "lab//teamB/secret.txt"),
    "from-inside-the-server": copy_to("teamA/stolen", "/buckets/lab/teamB/secret.txt"),
    "from-access-point": copy_to(
        "teamA/stolen", "arn:aws:s3:us-east-1:0:accesspoint/p/object/teamB/secret.txt"
    ),
    "to-another-team": copy_to("teamB/stolen", "/lab/teamA/open.txt"),
    "to-read-grant": copy_to("shared/new", "/lab/teamA/open.txt"),
    "to-frozen": copy_to("teamA/frozen/new", "/lab/teamA/open.txt"),
    "to-frozen-itself": copy_to("teamA/frozen/paper.txt", "/lab/teamA/frozen/paper.txt"),
    "as-reader": copy_to("teamA/new", "/lab/teamA/open.txt", who="reader"),
}


def form(world: World, who: str, key: str) -> Answer:
    fields = world.clients[who].generate_presigned_post("lab", key)["fields"]
    return post_form(world.url, "/lab", fields, b"EVIL")


@pytest.mark.parametrize("attack", named(READING))
def test_cannot_read_elsewhere(world: World, attack: Attack) -> None:
    with unchanged(world):
        assert_refused(attack(world))


@pytest.mark.parametrize("attack", named(LISTING))
def test_cannot_list_elsewhere(world: World, attack: Attack) -> None:
    with unchanged(world):
        assert_refused(attack(world))


@pytest.mark.parametrize("attack", named(WRITING))
def test_cannot_change_elsewhere(world: World, attack: Attack) -> None:
    with unchanged(world):
        assert_refused(attack(world))


@pytest.mark.parametrize("attack", named(COPYING))
def test_cannot_copy_across(world: World, attack: Attack) -> None:
    with unchanged(world):
        assert_refused(attack(world))


@pytest.mark.parametrize(
    "query",
    [
        "prefix=teamA%2F&prefix=teamB%2F",
        "list-type=2&prefix=teamA%2F&prefix=teamB%2F",
        "list-type=2&prefix=teamA%2F&Prefix=teamB%2F",
        "list-type=2&prefix=teamA%2F&start-after=teamA",
        "prefix=teamA%2F&marker=",
        "prefix=teamA%2F&delimiter=..",
        "list-type=2&prefix=teamA%2F..%2F",
        "list-type=2&prefix=teamA%2F..%2FteamB%2F",
        "list-type=2&prefix=teamA%2F%2F..%2F",
        "versions=&prefix=teamA%2F&prefix=teamB%2F",
        "versions=&prefix=teamA%2F&key-marker=teamB",
        "uploads=&prefix=teamA%2F&prefix=teamB%2F",
        "uploads=&prefix=teamA%2F&key-marker=teamB",
    ],
)
def test_a_listing_with_tricks_shows_only_what_is_inside(world: World, query: str) -> None:
    with unchanged(world):
        answer = world.raw("writer", "GET", f"/lab?{query}")
    assert answer.status in (200, 400, 403, 501)
    assert b"teamB/secret" not in answer.body
    assert b"teamB/upload" not in answer.body
    assert b"teamAB" not in answer.body
    assert b"top.txt" not in answer.body


EVERYONE = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::lab/*",
            }
        ],
    }
)
EXPIRE = {
    "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
}
BUCKET = {
    "get-policy": call("writer", "get_bucket_policy"),
    "get-acl": call("writer", "get_bucket_acl"),
    "get-versioning": call("writer", "get_bucket_versioning"),
    "get-lifecycle": call("writer", "get_bucket_lifecycle_configuration"),
    "get-location-of-others": call("writer", "get_bucket_location", Bucket="seen"),
    "get-cors": call("writer", "get_bucket_cors"),
    "get-encryption": call("writer", "get_bucket_encryption"),
    "policy": call("writer", "put_bucket_policy", Policy=EVERYONE),
    "delete-policy": call("writer", "delete_bucket_policy"),
    "lifecycle": call(
        "writer", "put_bucket_lifecycle_configuration", LifecycleConfiguration=EXPIRE
    ),
    "delete-lifecycle": call("writer", "delete_bucket_lifecycle"),
    "versioning": call(
        "writer", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}
    ),
    "acl": call("writer", "put_bucket_acl", ACL="public-read-write"),
    "cors": call(
        "writer",
        "put_bucket_cors",
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
    ),
    "tags": call("writer", "put_bucket_tagging", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
    "public-access": call("writer", "delete_public_access_block"),
    "delete": call("writer", "delete_bucket"),
    "create": call("writer", "create_bucket", Bucket="evil"),
    "create-by-writing": call("writer", "put_object", Bucket="evil", Key="teamA/x", Body=b"EVIL"),
    "policy-as-reader": call("reader", "put_bucket_policy", Policy=EVERYONE),
    "delete-as-reader": call("reader", "delete_bucket"),
    "delete-as-vendor": call("vendor", "delete_bucket"),
    "policy-with-prefix": raw(
        "writer", "PUT", "/lab?policy=&prefix=teamA%2F", body=EVERYONE.encode()
    ),
}


@pytest.mark.parametrize("attack", named(BUCKET))
def test_cannot_touch_the_bucket(world: World, attack: Attack) -> None:
    before = world.settings()
    with unchanged(world):
        assert_refused(attack(world))
    assert world.settings() == before


@pytest.mark.parametrize("who", ["writer", "reader"])
def test_the_region_of_its_own_bucket_is_no_secret(world: World, who: str) -> None:
    assert world.call(who, "get_bucket_location").status == 200


def test_sees_no_buckets(world: World) -> None:
    assert world.clients["writer"].list_buckets()["Buckets"] == []


def test_an_object_written_as_public_is_not(world: World) -> None:
    with unchanged(world, but=("teamA/public",)):
        world.call("writer", "put_object", Key="teamA/public", Body=b"mine", ACL="public-read")
        answer = world.raw(None, "GET", "/lab/teamA/public")
        world.admin.delete_object(Bucket="lab", Key="teamA/public")
    assert answer.status == 403
