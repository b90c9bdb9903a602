"""Read the external raw data of an HDF5 dataset, from files of the same dataset."""

from __future__ import annotations

from typing import Any

from panneuro_hub.lab.hdf5.file_family import open_linked_file
from panneuro_hub.lab.hdf5.stand_in_dataset import FetchBytes
from panneuro_hub.lab.hdf5.virtual_mappings import UNLIMITED
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import BrokenLinkError

_MOST_SEGMENTS = 10_000


def make_raw_reader(dataset: Any, origin: ObjectFile) -> FetchBytes:
    """Return a function that reads the bytes of a dataset with external raw data.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    origin : ObjectFile
        The HDF5 file that it is in; names are relative to the folder of this one.
    """
    plist = dataset.get_create_plist()
    count = plist.get_external_count()
    files: dict[str, ObjectFile] = {}

    def fetch(start: int, end: int) -> bytes:
        if count > _MOST_SEGMENTS:
            raise BrokenLinkError(f"{count:,} pieces in other files, which are too many")
        if _has_pointers(dataset):
            raise BrokenLinkError("values of varying length in other files, which mean nothing")
        found = bytearray()
        first = 0
        for number in range(count):
            name, offset, size = plist.get_external(number)
            last = end if size == UNLIMITED else first + size
            if first < end and start < last:
                text = name.decode("utf-8", "replace")
                if text not in files:
                    files[text] = open_linked_file(origin, text)
                low, high = max(start, first), min(end, last)
                found += _read(files[text], text, offset + low - first, high - low)
            first = last
        if len(found) != end - start:
            raise BrokenLinkError("other files that have fewer bytes than it")
        return bytes(found)

    return fetch


def _read(file: ObjectFile, name: str, start: int, size: int) -> bytes:
    file.seek(start)
    data = bytearray(size)
    filled = file.readinto(data)
    if filled != size:
        raise BrokenLinkError(f"{name!r}, which is too short: byte {start + filled} is not there")
    return bytes(data)


def _has_pointers(dataset: Any) -> bool:
    import h5py

    kind = dataset.get_type()
    pointers = (h5py.h5t.VLEN, h5py.h5t.REFERENCE)
    varying = isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()
    return varying or any(kind.detect_class(pointer) for pointer in pointers)
