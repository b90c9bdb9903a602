"""One large file on its way into the store, in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from panneuro_hub.client.local_files import LocalFile, open_unchanged, read_whole
from panneuro_hub.client.transfer.part_plan import FilePart, PartPlan, compute_multipart_etag
from panneuro_hub.client.transfer.pool import RetryPolicy, TransferPool
from panneuro_hub.client.transfer.prefix_objects import ObjectMetadata, PrefixObjects, StoredPart
from panneuro_hub.client.transfer.progress import TransferProgress
from panneuro_hub.client.transfer_errors import StoreError


@dataclass(frozen=True)
class FileDigests:
    """The digests of a file and of its parts.

    Parameters
    ----------
    sha256, md5 : str
        Hexadecimal.
    parts : tuple of bytes
        MD5 of each part.
    """

    sha256: str
    md5: str
    parts: tuple[bytes, ...]

    def match_object(self, meta: ObjectMetadata) -> bool:
        """Return whether an object of the same size is known to have the same content."""
        return meta.etag in (self.md5, compute_multipart_etag(self.parts))


@dataclass(frozen=True)
class UploadTools:
    """The objects that every upload of a file needs."""

    objects: PrefixObjects
    pool: TransferPool
    retry_policy: RetryPolicy
    progress: TransferProgress


def digest_file(work: UploadTools, file: LocalFile, plan: PartPlan) -> FileDigests:
    """Read a file from its beginning to its end.

    Raises
    ------
    FileProblem
        If it cannot be read, or has changed.
    """
    whole, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    parts = []
    with open_unchanged(file) as opened:
        for part in plan:
            work.retry_policy.check()
            with work.pool.reserve_memory(part.size):
                data = read_whole(opened, file, part.size)
                whole.update(data)
                md5.update(data)
                parts.append(_digest_md5(data))
    return FileDigests(whole.hexdigest(), md5.hexdigest(), tuple(parts))


def find_unfinished_upload(
    work: UploadTools, path: str, uploads: Sequence[str], plan: PartPlan
) -> MultipartUpload:
    """The upload of which most has arrived, or a new one."""
    sizes = {part.number: part.size for part in plan}
    best = MultipartUpload(work, path, "", ())
    for upload in uploads:
        try:
            found = work.retry_policy.call_with_retries(
                partial(work.objects.list_parts, path, upload)
            )
        except StoreError as failure:
            if failure.kind != "missing":
                raise
            continue
        fitting = [part for part in found if sizes.get(part.number) == part.size]
        size = sum(part.size for part in fitting)
        if size > sum(part.size for part in best.arrived):
            best = MultipartUpload(work, path, upload, fitting)
    if not best.upload:
        best.upload = work.retry_policy.call_with_retries(partial(work.objects.begin, path))
    return best


class MultipartUpload:
    """An upload in parts.

    Parameters
    ----------
    work : UploadTools
    path : str
        Seen from the objects' root.
    upload : str
        Its id.
    arrived : sequence of StoredPart
        Parts that are there, as the store says.

    Attributes
    ----------
    sent : int
        How many parts had to be sent.
    """

    def __init__(
        self, work: UploadTools, path: str, upload: str, arrived: Sequence[StoredPart]
    ) -> None:
        self.upload = upload
        self.arrived = tuple(arrived)
        self.sent = 0
        self._work = work
        self._path = path
        # A store may list a part twice that came twice.
        self._known: dict[int, set[tuple[int, str]]] = {}
        for part in arrived:
            self._known.setdefault(part.number, set()).add((part.size, part.etag))
        self._etags: dict[int, str] = {}
        self._under_way: list[Future[None]] = []
        self._failed: BaseException | None = None

    def send(self, file: LocalFile, plan: PartPlan) -> str:
        """Read the whole file, send the parts that are not there; gives its SHA-256.

        Raises
        ------
        FileProblem
            If it cannot be read, or has changed.
        StoreError
            If a part could not be sent.
        """
        whole = hashlib.sha256()
        with open_unchanged(file) as opened:
            for part in plan:
                self._check()
                taken = self._work.pool.budget.reserve(part.size)
                try:
                    data = read_whole(opened, file, part.size)
                    whole.update(data)
                    arrived = self._has_arrived(part, data)
                except BaseException:
                    self._work.pool.budget.release(taken)
                    raise
                self._pass_on(part, data, arrived, taken)
                del data  # or it would live on while the next one waits for room
            self.wait()
            self._check()
        return whole.hexdigest()

    def complete(self, *, replace: bool) -> str:
        """Make one object of all parts and return its ETag."""
        etags = [self._etags[number] for number in sorted(self._etags)]
        return self._work.objects.complete(self._path, self.upload, etags, replace=replace)

    def abort(self) -> None:
        """Give it up, with all that has arrived."""
        self.wait()
        self._work.objects.abort(self._path, self.upload)

    def wait(self) -> None:
        """Wait until nothing is under way, however it ends."""
        for future in self._under_way:
            future.exception()

    def _has_arrived(self, part: FilePart, data: bytes) -> bool:
        # Where nothing of this number is there, its checksum is the sender's business.
        if part.number not in self._known:
            return False
        etag = _digest_md5(data).hex()
        if (part.size, etag) not in self._known[part.number]:
            return False
        self._etags[part.number] = etag
        return True

    def _pass_on(self, part: FilePart, data: bytes, arrived: bool, taken: int) -> None:
        if arrived:
            self._work.progress.spare(part.size)
            self._work.pool.budget.release(taken)
            return
        self.sent += 1
        job = partial(self._send_part, part, data)
        self._under_way.append(self._work.pool.send(taken, job))

    def _send_part(self, part: FilePart, data: bytes) -> None:
        objects, md5 = self._work.objects, _digest_md5(data)
        send = partial(objects.send_part, self._path, self.upload, part.number, data, md5)
        try:
            self._etags[part.number] = self._work.retry_policy.call_with_retries(send)
        except BaseException as failure:
            self._failed = failure
            raise
        self._work.progress.move(part.size)

    def _check(self) -> None:
        self._work.retry_policy.check()
        if self._failed is not None:
            raise self._failed


def _digest_md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
