"""Projects with datasets and notebooks in memory, for the pages that show them."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from obstore.store import MemoryStore

from panneuro_hub.catalog import FileRow, Manifest
from panneuro_hub.catalog.dataset_records import begin_upload, publish_dataset
from panneuro_hub.catalog.manifest import UploadNote
from panneuro_hub.catalog.notebook_records import NotebookEnvironment, NotebookRecord
from panneuro_hub.catalog.notebook_store import publish_version as publish_notebook
from panneuro_hub.collaboration import S3Store
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import Credential

CREATED = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
BUCKET = "s3://learning-circuits/"


@dataclass
class SmallStore:
    """A bucket: what lies below each prefix, and whose keys opened it."""

    roots: dict[str, MemoryStore] = field(default_factory=dict)
    opened: list[tuple[str, str]] = field(default_factory=list)

    def open(self, place: S3Store, root: StorageLocation, made: Credential) -> Any:
        """Stand in for `panneuro_hub.service.browse.project_reader.open_project_store`."""
        self.opened.append((root.uri, made.access_key_id))
        return self.of(root.key.rstrip("/"))

    def of(self, project: str) -> Any:
        """The store of a project whose prefix is its name."""
        return self.roots.setdefault(f"{BUCKET}{project}/", MemoryStore())

    def put(self, project: str, dataset: str, **about: Any) -> Manifest:
        """A complete dataset."""
        said = {"format": "files", "created": CREATED, "created_by": "ada"}
        said |= {"files": (FileRow("a.bin", 693_000, "0" * 64),)}
        manifest = Manifest(dataset=dataset, project=project, **(said | about))
        publish_dataset(self.of(project), manifest)
        return manifest

    def begin(self, project: str, dataset: str, by: str = "bee") -> None:
        """An upload that was broken off."""
        upload = UploadNote(dataset=dataset, by=by, began=CREATED, files_count=3, size=3 * 10**12)
        begin_upload(self.of(project), upload)

    def share(
        self, project: str, name: str, notebook: bytes | None = None, **about: Any
    ) -> NotebookRecord:
        """A published notebook."""
        content = notebook if notebook is not None else notebook_of("print(1)")
        picture = about.pop("picture", None)
        said = {"created": CREATED, "created_by": "ada", "number": 1}
        said |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if picture is not None:
            said["preview_sha256"] = hashlib.sha256(picture).hexdigest()
        published = NotebookRecord(project=project, name=name, **(said | about))
        return publish_notebook(self.of(project), content, published, picture)


def notebook_of(*sources: str) -> bytes:
    """A notebook of code cells."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{count}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for count, source in enumerate(sources)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document).encode()


def environment(**about: Any) -> NotebookEnvironment:
    """What a notebook ran in."""
    said = {"image": "neuro", "language": "python", "language_version": "3.12.4"}
    return NotebookEnvironment(
        **(said | {"packages": ("numpy==2.1.0", "xarray==2026.1.0")} | about)
    )


def png(width: int = 24, height: int = 12) -> bytes:
    """A small picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xf3\x77\x26" * width) * height
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
