"""Notebooks, their records and a store in memory, for tests of sharing."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from datetime import UTC, datetime
from typing import Any

from panneuro_hub.catalog.notebook_records import NotebookEnvironment, NotebookRecord

CREATED = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)


def code(source: str, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {},
        "source": source,
        "execution_count": 1,
        "outputs": list(outputs),
        **more,
    }


def markdown(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source, **more}


def shown(**data: Any) -> dict[str, Any]:
    """A rich output; ``text_html`` for ``text/html``."""
    bundle = {name.replace("_", "/", 1): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": bundle}


def ipynb(*cells: dict[str, Any], language: str = "python", **metadata: Any) -> bytes:
    named = {"language_info": {"name": language, "version": "3.12.4"}, **metadata}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": named, "cells": list(cells)}
    return json.dumps(document).encode()


def png(width: int = 3, height: int = 2, *more: tuple[bytes, bytes]) -> bytes:
    """A grey picture, with more chunks before its end."""
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def chunk(name: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def published(notebook: bytes, **changes: Any) -> NotebookRecord:
    """The record of a notebook."""
    described: dict[str, Any] = {
        "project": "nav",
        "name": "tuning",
        "number": 1,
        "created": CREATED,
        "created_by": "ada",
        "size": len(notebook),
        "sha256": hashlib.sha256(notebook).hexdigest(),
        "title": "Tuning curves",
        "environment": NotebookEnvironment(
            image="neuro", language="python", language_version="3.12.4", packages=("numpy==2.1.0",)
        ),
        "datasets": ("nav/session-12",),
    }
    return NotebookRecord(**{**described, **changes})
