"""A file made of ranges reads as the bytes do, and asks little for it."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panneuro_hub.catalog.range_file import BLOCK_SIZE, RangeFile

CONTENT = random.Random(1).randbytes(5 * BLOCK_SIZE // 2 + 17)


class Source:
    """Bytes, and which ranges of them were asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.content)
        self.asked.append((start, end))
        return self.content[start:end]

    @property
    def fetched(self) -> int:
        return sum(end - start for start, end in self.asked)


def opened(content: bytes = CONTENT) -> tuple[RangeFile, Source]:
    source = Source(content)
    return RangeFile(source.fetch, len(content)), source


sizes = st.integers(0, 2000) | st.integers(BLOCK_SIZE - 2, BLOCK_SIZE + 2) | st.just(-1)
moves = st.tuples(
    st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
    st.integers(-BLOCK_SIZE, 3 * BLOCK_SIZE) | st.integers(-3, 3),
    sizes,
)


@settings(max_examples=60)
@given(st.lists(moves, max_size=12))
def test_it_reads_as_bytes_do(steps: list[tuple[int, int, int]]) -> None:
    file, _ = opened()
    plain = io.BytesIO(CONTENT)
    for whence, offset, size in steps:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: plain.tell(), io.SEEK_END: len(CONTENT)}[whence]
        if base + offset < 0:
            with pytest.raises(ValueError, match="before the beginning"):
                file.seek(offset, whence)
            continue
        assert file.seek(offset, whence) == plain.seek(offset, whence)
        assert file.read(size) == plain.read(size)
        assert file.tell() == plain.tell()


def test_what_lies_near_is_asked_for_once() -> None:
    file, source = opened()
    for start in range(0, 2000, 8):
        file.seek(start)
        file.read(8)
    assert source.asked == [(0, BLOCK_SIZE)]


def test_jumping_about_fetches_a_block_each() -> None:
    file, source = opened()
    for start in (2 * BLOCK_SIZE, 0, BLOCK_SIZE):
        file.seek(start)
        file.read(8)
    assert source.asked[:2] == [(2 * BLOCK_SIZE, len(CONTENT)), (0, BLOCK_SIZE)]


def test_reading_on_gets_more_at_once() -> None:
    content = bytes(64 * BLOCK_SIZE)
    file, source = opened(content)
    while file.read(BLOCK_SIZE // 4):
        pass
    assert source.fetched == len(content)
    lengths = [end - start for start, end in source.asked]
    assert lengths == sorted(lengths[:-1]) + lengths[-1:]
    assert len(lengths) < 10


def test_a_long_read_is_one_request() -> None:
    file, source = opened()
    file.seek(5)
    assert file.read(2 * BLOCK_SIZE) == CONTENT[5 : 5 + 2 * BLOCK_SIZE]
    assert source.asked == [(5, 5 + 2 * BLOCK_SIZE)]


def test_long_reads_in_order_get_more_at_once() -> None:
    content = random.Random(2).randbytes(40 * BLOCK_SIZE)
    file, source = opened(content)
    while piece := file.read(BLOCK_SIZE + 5):
        assert piece == content[file.tell() - len(piece) : file.tell()]
    assert source.fetched <= len(content) + 2 * BLOCK_SIZE
    assert len(source.asked) < 12


def test_long_reads_here_and_there_get_what_they_ask_for() -> None:
    file, source = opened(bytes(40 * BLOCK_SIZE))
    for start in (30, 10, 20):
        file.seek(start * BLOCK_SIZE)
        file.read(BLOCK_SIZE)
    assert source.fetched == 3 * BLOCK_SIZE


def test_what_it_keeps_is_bounded() -> None:
    content = bytes(200 * BLOCK_SIZE)
    file, source = opened(content)
    for _ in range(2):
        for start in range(0, len(content), 2 * BLOCK_SIZE):
            file.seek(start)
            file.read(1)
    assert len(source.asked) == 200


def test_a_closed_file_is_read_no_more() -> None:
    file, _ = opened()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
