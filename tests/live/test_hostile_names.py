"""Names that programs read differently, names in batches, and names of uploads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from attacker import Answer, readings
from world import World, copy_to, secret, unchanged

OUTSIDE = (
    "/lab/teamA/../teamB/secret.txt",
    "/lab/teamA/%2e%2e/teamB/secret.txt",
    "/lab/teamA/%2E%2E%2FteamB%2Fsecret.txt",
    "/lab/teamA/..%2fteamB/secret.txt",
    "/lab/teamA/.%2e/teamB/secret.txt",
    "/lab/teamA%2f%2e%2e%2fteamB%2fsecret.txt",
    "/lab/teamA/x/..%2f..%2fteamB/secret.txt",
    "/lab/teamA//../teamB/secret.txt",
    "/lab/teamA/./../teamB/secret.txt",
    "/lab/./teamB/secret.txt",
    "/lab//teamB/secret.txt",
    "//lab/teamB/secret.txt",
    "/./lab/teamB/secret.txt",
    "/other/../lab/teamB/secret.txt",
    "/lab%2fteamB%2fsecret.txt",
    "/lab/teamA/..%5cteamB%5csecret.txt",
    "/lab/teamA/..%00/teamB/secret.txt",
    "/lab/teamA/../../lab/teamB/secret.txt",
)
# These are keys below teamA/ by the letter; what matters is that they stay there.
BY_THE_LETTER = (
    "/lab/teamA/%252e%252e/teamB/secret.txt",
    "/lab/teamA/%252e%252e%252fteamB%252fsecret.txt",
    "/lab/teamA/%c0%ae%c0%ae/teamB/secret.txt",
    "/lab/teamA/..;/teamB/secret.txt",
    "/lab/teamA/...//teamB/secret.txt",
)
INTO_FROZEN = (
    "/lab/teamA/sub/../frozen/paper.txt",
    "/lab/teamA/sub/%2e%2e/frozen/paper.txt",
    "/lab/teamA/./frozen/paper.txt",
    "/lab/teamA/%2e/frozen/paper.txt",
    "/lab/teamA//frozen/paper.txt",
    "/lab/teamA/%2ffrozen/paper.txt",
    "/lab/teamA///frozen/paper.txt",
    "/lab//teamA/frozen/paper.txt",
    "/lab/teamA/frozen//paper.txt",
    "/lab/teamA/frozen%2fpaper.txt",
    "/lab/teamA/frozen/./paper.txt",
    "/lab/teamA/frozen/x/../paper.txt",
)


def every_signature(world: World, method: str, target: str) -> Iterator[Answer]:
    """The same request, signed for every way in which the server may read its path."""
    body = b"EVIL" if method == "PUT" else b""
    for reading in readings(target):
        yield world.raw("writer", method, target, signed_as=reading, body=body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("target", OUTSIDE)
def test_no_path_leads_out(world: World, method: str, target: str) -> None:
    with unchanged(world):
        for answer in every_signature(world, method, target):
            assert answer.status in (400, 403, 405), answer.body
            assert b"SECRET" not in answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("target", BY_THE_LETTER)
def test_odd_names_stay_inside(world: World, method: str, target: str) -> None:
    before = set(world.content())
    with unchanged(world, but=("teamA/%2e", "teamA/..", "teamA/\ufffd")):
        for answer in every_signature(world, method, target):
            assert answer.status in (200, 204, 400, 403, 404), answer.body
            assert b"SECRET" not in answer.body
        made = set(world.content()) - before
        assert all(key.startswith("teamA/") for key in made)
    for key in made:
        world.admin.delete_object(Bucket="lab", Key=key)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("target", INTO_FROZEN)
def test_no_path_leads_into_what_is_frozen(world: World, method: str, target: str) -> None:
    with unchanged(world):
        for answer in every_signature(world, method, target):
            assert answer.status in (400, 403), answer.body


@pytest.mark.parametrize(
    "source",
    [
        "lab/teamA/../teamB/secret.txt",
        "lab/teamA/%2e%2e/teamB/secret.txt",
        "/lab/teamA/..%2FteamB%2Fsecret.txt",
        "lab/./teamB/secret.txt",
        "lab/teamA/%252e%252e/teamB/secret.txt",
        "lab/teamA/..%5cteamB/secret.txt",
    ],
)
def test_no_source_of_a_copy_leads_out(world: World, source: str) -> None:
    with unchanged(world):
        answer = copy_to("teamA/stolen", source)(world)
        assert answer.status in (400, 403, 404), answer.body


def test_an_object_by_the_name_of_a_frozen_prefix_takes_nothing_away(world: World) -> None:
    # "teamA/frozen" is a key of its own below teamA/, which may be written.
    with unchanged(world, but=("teamA/frozen",)):
        frozen = {key for key in world.content() if key.startswith("teamA/frozen/")}
        for operation in ("put_object", "delete_object"):
            world.call("writer", operation, Key="teamA/frozen")
            kept = {key for key in world.content() if key.startswith("teamA/frozen/")}
            assert kept == frozen
        for key in frozen:
            assert world.call("admin", "get_object", Key=key).body == secret(key)


FOREIGN = (
    "teamB/secret.txt",
    "teamAB/secret.txt",
    "top.txt",
    "shared/stimulus.txt",
    "teamA/frozen/paper.txt",
    "teamA/frozen/",
    "teamA//frozen/paper.txt",
    "teamA///frozen/paper.txt",
    "teamA/frozen//paper.txt",
    "teamA/./frozen/paper.txt",
    "teamA/sub/../frozen/paper.txt",
    "/teamA/frozen/paper.txt",
    "//teamB/secret.txt",
    "/teamB/secret.txt",
    "../teamB/secret.txt",
    "teamA/../teamB/secret.txt",
    "teamA//../teamB/secret.txt",
    "teamA/..\\teamB\\secret.txt",
    "teamA/%2e%2e/teamB/secret.txt",
)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_batch_deletes_what_is_inside_and_nothing_else(world: World, foreign: str) -> None:
    with unchanged(world):
        world.call("writer", "put_object", Key="teamA/old", Body=b"mine")
        keys = [{"Key": foreign}, {"Key": "teamA/old"}, {"Key": foreign}]
        answer = world.call("writer", "delete_objects", Delete={"Objects": keys})
        assert answer.status == 200
        assert "teamA/old" not in world.content()
        assert (
            secret("teamB/secret.txt")
            == world.call("admin", "get_object", Key="teamB/secret.txt").body
        )


def test_a_batch_says_which_keys_it_refused(world: World) -> None:
    keys = [{"Key": "teamB/secret.txt"}, {"Key": "teamA/frozen/paper.txt"}]
    with unchanged(world):
        answer = world.clients["writer"].delete_objects(Bucket="lab", Delete={"Objects": keys})
    refused = {error["Key"]: error["Code"] for error in answer["Errors"]}
    assert refused == {key["Key"]: "AccessDenied" for key in keys}
    assert "Deleted" not in answer


UPLOADS: dict[str, dict[str, Any]] = {
    "list_parts": {},
    "upload_part": {"PartNumber": 2, "Body": b"EVIL"},
    "upload_part_copy": {"PartNumber": 2, "CopySource": "lab/teamA/open.txt"},
    "abort_multipart_upload": {},
    "complete_multipart_upload": {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]}},
}


@pytest.mark.parametrize("operation", UPLOADS)
@pytest.mark.parametrize("theirs", ["teamB/upload.bin", "teamA/frozen/upload.bin"])
@pytest.mark.parametrize("through", ["their-key", "own-key"])
def test_cannot_touch_another_upload(
    world: World, operation: str, theirs: str, through: str
) -> None:
    key = theirs if through == "their-key" else "teamA/upload.bin"
    parts = world.parts(theirs)
    with unchanged(world):
        answer = world.call(
            "writer", operation, Key=key, UploadId=world.uploads[theirs], **UPLOADS[operation]
        )
        # With one's own key it is an upload that does not exist.
        assert answer.status == (403 if through == "their-key" else 404), answer.body
    assert world.parts(theirs) == parts != []


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("/lab/teamB/secret.txt", 403),
        ("/lab/teamAB/secret.txt", 403),
        ("/lab/top.txt", 403),
        ("lab/teamA/../teamB/secret.txt", 400),
        ("lab/teamA/%2e%2e/teamB/secret.txt", 400),
    ],
)
@pytest.mark.parametrize(
    "range_", [{}, {"x-amz-copy-source-range": "bytes=0-3"}], ids=["whole", "range"]
)
def test_cannot_copy_a_part_from_elsewhere(
    world: World, source: str, status: int, range_: dict[str, str]
) -> None:
    writer = world.clients["writer"]
    with unchanged(world):
        upload = writer.create_multipart_upload(Bucket="lab", Key="teamA/m")["UploadId"]
        target = f"/lab/teamA/m?partNumber=1&uploadId={quote(upload, safe='')}"
        answer = world.raw("writer", "PUT", target, headers={"x-amz-copy-source": source, **range_})
        assert answer.status == status, answer.body
        assert "Parts" not in writer.list_parts(Bucket="lab", Key="teamA/m", UploadId=upload)
        writer.abort_multipart_upload(Bucket="lab", Key="teamA/m", UploadId=upload)
