"""Open NIfTI-1, NIfTI-2 and CIFTI-2 images; volumes are read when they are used."""

from __future__ import annotations

import gzip
import io
from math import prod
from typing import Any

from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import UnreadableFileError, require_packages
from panneuro_hub.lab.store_errors import PathLabel

_GZIP = b"\x1f\x8b"
_BUFFER = 2**17  # bytes: less than a block, so that reading on in order gets more at once
_CLASSES = {348: "Nifti1Image", 540: "Nifti2Image"}  # by the size of the header
_CIFTI_EXTENSION = 32
_CIFTI_INTENTS = range(3000, 3100)


def read_nifti(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    """Return a nibabel image: `Cifti2Image` for CIFTI, `Nifti1Image` or `Nifti2Image` otherwise.

    The header decides, not the name: CIFTI-2 is NIfTI-2 with an extension that describes its axes.
    """
    with require_packages("nibabel"):
        import nibabel

    packed = file.read(2) == _GZIP
    file.seek(0)
    source: Any = gzip.GzipFile(fileobj=io.BufferedReader(file, _BUFFER)) if packed else file
    head = source.read(4)
    source.seek(0)
    sizes = {int.from_bytes(head, "little"), int.from_bytes(head, "big")}
    name = next((_CLASSES[size] for size in sizes if size in _CLASSES), None)
    if name is None:
        raise UnreadableFileError(f"{place.path!r} does not begin as NIfTI does")
    image = _image(getattr(nibabel, name), source, kwargs)
    if not packed:
        _check_size(image, file, place)
    if name == "Nifti2Image" and _is_cifti(image, place):
        source.seek(0)
        return _image(nibabel.Cifti2Image, source, kwargs)
    return image


def _image(image: Any, source: Any, kwargs: dict[str, Any]) -> Any:
    return image.from_file_map(image.make_file_map({"image": source}), **kwargs)


def _check_size(image: Any, file: ObjectFile, place: PathLabel) -> None:
    """Refuse a file that ends before its data; nibabel notices when the data is used."""
    data = image.dataobj
    needed = int(data.offset) + prod(map(int, data.shape)) * data.dtype.itemsize
    size = file.seek(0, io.SEEK_END)
    if size < needed:
        raise UnreadableFileError(
            f"{place.path!r} is cut off: it has {size:,} bytes, and its header says {needed:,}"
        )


def _is_cifti(image: Any, place: PathLabel) -> bool:
    if any(one.get_code() == _CIFTI_EXTENSION for one in image.header.extensions):
        return True
    if int(image.header["intent_code"]) in _CIFTI_INTENTS:
        raise UnreadableFileError(
            f"{place.path!r} says that it is CIFTI-2, and does not describe its axes"
        )
    return False
