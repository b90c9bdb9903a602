"""Files whose bytes come from elsewhere have a position, as Python's own files do."""

from __future__ import annotations

import io

import pytest

from panneuro_hub.catalog.range_file import RangeFile
from panneuro_hub.catalog.seekable_file import SeekableFile
from panneuro_hub.lab.hdf5.stand_in_dataset import StandInFile

SIZE = 100  # bytes


def open_range_file() -> RangeFile:
    return RangeFile(lambda start, end: bytes(end - start), SIZE)


def open_stand_in_file() -> StandInFile:
    file = StandInFile(lambda start, end: bytes(end - start))
    file.truncate(SIZE)
    return file


@pytest.fixture(params=[open_range_file, open_stand_in_file])
def file(request: pytest.FixtureRequest) -> SeekableFile:
    opened: SeekableFile = request.param()
    return opened


def test_the_position_counts_from_beginning_position_and_end(file: SeekableFile) -> None:
    assert file.readable()
    assert file.seekable()
    assert file.seek(10) == file.tell() == 10
    assert file.seek(5, io.SEEK_CUR) == file.tell() == 15
    assert file.seek(-1, io.SEEK_END) == file.tell() == SIZE - 1


def test_an_unknown_whence_is_a_value_error(file: SeekableFile) -> None:
    with pytest.raises(ValueError, match="whence must be 0, 1 or 2, not 7"):
        file.seek(0, 7)


def test_a_position_before_the_beginning_is_a_value_error(file: SeekableFile) -> None:
    file.seek(3)
    with pytest.raises(ValueError, match="before the beginning"):
        file.seek(-4, io.SEEK_CUR)
    assert file.tell() == 3
