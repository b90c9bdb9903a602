"""Plan the parts of a multipart upload, and compute the ETag of the whole object.

Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIB = 1 << 20
MOST_PARTS = 10_000
SMALLEST_PART = 5 * MIB  # but for the last one
LARGEST_PART = 5 << 30
LARGEST_OBJECT = 5 << 40
USUAL_PART = 16 * MIB
"""Files up to this go in one request, larger ones in parts of this or more."""


@dataclass(frozen=True)
class FilePart:
    """A piece of a file: its number from 1 on, where it begins, and how long it is."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True)
class PartPlan:
    """A file of `size` bytes in parts of `part_size`, the last of which may be shorter.

    It depends on the size alone: an upload that was broken off is continued by a
    program that knows nothing of the first one but the file.
    """

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """Return the number of parts."""
        return -(-self.size // self.part_size)

    def __iter__(self) -> Iterator[FilePart]:
        for index in range(self.count):
            offset = index * self.part_size
            yield FilePart(index + 1, offset, min(self.part_size, self.size - offset))


def plan_parts(size: int) -> PartPlan:
    """Cut a file of `size` bytes.

    Raises
    ------
    ValueError
        If it is empty, or larger than an object can be.
    """
    if size < 1:
        raise ValueError("an empty file has no parts")
    if size > LARGEST_OBJECT:
        raise ValueError(
            f"{size} bytes are more than the {LARGEST_OBJECT} that one object can have"
        )
    least = -(-size // MOST_PARTS)
    # In whole mebibytes, which disks and stores like.
    return PartPlan(size, max(USUAL_PART, -(-least // MIB) * MIB))


def compute_multipart_etag(digests: Iterable[bytes]) -> str:
    """The ETag of an object that was sent in parts with these MD5 digests."""
    found = list(digests)
    return f"{hashlib.md5(b''.join(found), usedforsecurity=False).hexdigest()}-{len(found)}"
