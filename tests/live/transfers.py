"""What tests of uploads share: a session with a wire to its store, and the command."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from attacker import Keys, client
from session_views import because, view_of
from short_service import ShortService
from short_sessions import lab_store
from terminal import Terminal
from wire_faults import Wire

from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Denial, Grant, Reason, Ticket

PROJECT = "upload-tests"
FROZEN = Reason("frozen", PROJECT)
NOT_HUMAN = (Reason("not-in-team", "human", teams=("human-lab",), level="read"),)
GRANTS = (
    Grant(f"s3://lab/{PROJECT}/", "write", because("you are in navigation-lab"), PROJECT),
    Grant(f"s3://lab/{PROJECT}/release/", "read", (FROZEN,), PROJECT),
    Grant("s3://lab/stimuli/", "read", because("upload-tests reads stimuli"), "stimuli"),
)
MIB = 1 << 20


@dataclass
class Bench(Terminal):
    """The terminal of a session whose store is behind a wire."""

    wire: Wire
    service: ShortService
    admin: Any

    def objects(self, dataset: str) -> dict[str, int]:
        """Sizes by path."""
        prefix = f"{PROJECT}/{dataset}/"
        return {one["Key"].removeprefix(prefix): one["Size"] for one in self._below(prefix)}

    def empty(self, below: str = "") -> None:
        """Remove what lies in the project, or in a folder of it, and what was on its way there."""
        prefix = f"{PROJECT}/{below}"
        for one in self._below(prefix):
            self.admin.delete_object(Bucket="lab", Key=one["Key"])
        begun = self.admin.list_multipart_uploads(Bucket="lab", Prefix=prefix)
        for upload in begun.get("Uploads", []):
            self.admin.abort_multipart_upload(
                Bucket="lab", Key=upload["Key"], UploadId=upload["UploadId"]
            )

    def _below(self, prefix: str) -> Iterator[dict[str, Any]]:
        listing = self.admin.get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket="lab", Prefix=prefix):
            yield from page.get("Contents", [])

    def parts(self, dataset: str) -> dict[tuple[str, int], int]:
        """Sizes of the parts that have arrived, by upload and number."""
        prefix = f"{PROJECT}/{dataset}/"
        found = {}
        for upload in self.admin.list_multipart_uploads(Bucket="lab", Prefix=prefix).get(
            "Uploads", []
        ):
            listed = self.admin.list_parts(
                Bucket="lab", Key=upload["Key"], UploadId=upload["UploadId"]
            )
            for part in listed.get("Parts", []):
                found[upload["UploadId"], part["PartNumber"]] = part["Size"]
        return found

    def catalog(self) -> set[str]:
        """The names of everything in the project's catalog."""
        found = self.admin.list_objects_v2(Bucket="lab", Prefix=f"{PROJECT}/.panneuro/")
        return {one["Key"].rpartition("/")[2] for one in found.get("Contents", [])}

    def read(self, key: str) -> bytes:
        content: bytes = self.admin.get_object(Bucket="lab", Key=f"{PROJECT}/{key}")["Body"].read()
        return content


@contextmanager
def made_bench(
    seaweedfs: SeaweedFS,
    folder: Path,
    lifetime: timedelta = timedelta(minutes=10),
    *,
    user: str = "ada",
    grants: tuple[Grant, ...] = GRANTS,
) -> Iterator[Bench]:
    """A person's session, in which `panneuro` finds its ticket.

    The project is one for all tests on the store: `Bench.empty` removes what others left there.
    """
    ticket = Ticket.new(user, "").encode()
    (folder / "ticket").write_text(ticket)
    request = CredentialRequest(f"{user}/", user, PROJECT, lab_store(seaweedfs), grants)
    with ExitStack() as stack:
        assert seaweedfs.ports is not None
        wire = stack.enter_context(Wire(seaweedfs.ports.s3))
        view = view_of(
            PROJECT,
            user=user,
            title="Uploads",
            level=grants[0].mode,
            endpoint_url=wire.url,
            region=seaweedfs.region,
            prefixes={PROJECT: f"s3://lab/{PROJECT}/", "stimuli": "s3://lab/stimuli/"},
            grants=grants,
            denied=(
                Denial("write", "prefix", f"s3://lab/{PROJECT}/release/", PROJECT, (FROZEN,)),
                Denial("read", "prefix", "s3://lab/human/", "human", NOT_HUMAN),
            ),
        )
        service = stack.enter_context(ShortService(seaweedfs, request, view, ticket, lifetime))
        admin = stack.enter_context(client(Keys(*seaweedfs.admin), seaweedfs.endpoint_url))
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PANNEURO_"))
        }
        environment |= {
            "PANNEURO_SERVICE_URL": service.url,
            "PANNEURO_TICKET_FILE": str(folder / "ticket"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        yield Bench(environment, wire, service, admin)


def fill(folder: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    """Files with random content."""
    chance = random.Random(seed)
    for path, size in sizes.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(chance.randbytes(size))
    return folder


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    return _content(one) == _content(other)


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(place.relative_to(folder)): place.read_bytes()
        for place in folder.rglob("*")
        if place.is_file()
    }
