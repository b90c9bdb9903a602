"""Remove everything but the picture from PNG files.

Source: Portable Network Graphics (PNG) Specification, W3C, "Chunk layout" and "Chunk
ordering".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LONGEST_SIDE = 10_000  # pixels
_MOST_PIXELS = 20_000_000
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def strip_png(data: bytes, largest: int) -> bytes | None:
    """Return a picture without its texts, profiles and times.

    Parameters
    ----------
    data : bytes
    largest : int
        The most bytes that the result may have.

    Returns
    -------
    bytes or None
        `None` if `data` is not a PNG, is damaged or has too many pixels.
    """
    chunks = list(_read_chunks(data))
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or b"IDAT" not in names:
        return None
    if names.count(b"IHDR") != 1 or not _is_shown(chunks[0][1]):
        return None
    made = b"".join([_SIGNATURE, *(whole for name, whole in chunks if name in _KEPT)])
    return made if len(made) <= largest else None


def _is_shown(header: bytes) -> bool:
    if len(header) != 8 + 13 + 4:
        return False
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (8, 12))
    if not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE):
        return False
    return width * height <= _MOST_PIXELS


def _read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and bytes of chunks, up to the end or the first damaged one."""
    if not data.startswith(_SIGNATURE):
        return
    place = len(_SIGNATURE)
    while len(data) - place >= 12:
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        name, body = data[place + 4 : place + 8], data[place + 4 : end - 4]
        if end > len(data) or zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            return
        yield name, data[place:end]
        if name == b"IEND":
            return
        place = end
