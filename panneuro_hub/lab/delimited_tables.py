"""Read tables of text, CSV and TSV, without silent conversions of identifiers.

A column in which a whole number begins with 0, such as 001, holds identifiers and stays text.
In tables of BIDS, `n/a` alone means a missing value, and labels of subjects and sessions are text.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import warnings
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from panneuro_hub.lab.bids_rules import IDENTIFIERS, BidsTable
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import (
    UnreadableFileError,
    require_packages,
    translate_format_errors,
)
from panneuro_hub.lab.store_errors import PathLabel

if TYPE_CHECKING:
    import pandas

_BUFFER = 2**17  # bytes: less than a block, so that reading on in order gets more at once
_HEAD = 2**16  # bytes
_SAMPLE = 10_000  # rows to find identifiers in, for tables that are read piece by piece
_PADDED = re.compile(r"0[0-9]+")
_MAYBE_PADDED = re.compile(rb"(?<![0-9A-Za-z_.+-])0[0-9]")
_PIECES = ("chunksize", "iterator")
# What changes the types or the shape of what is read, and is not needed to find identifiers.
_LATER = ("dtype", "converters", "parse_dates", "index_col", "low_memory", *_PIECES)
# Arguments with which pandas chooses a parser that has no `low_memory`, or reads piece by piece.
_OWN_ENGINE = frozenset({"engine", "sep", "delimiter", "skipfooter", *_PIECES})
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(head: bytes) -> str:
    """Return the encoding that the mark at the beginning of a text says, or else UTF-8."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")


@dataclass(frozen=True)
class _Source:
    """A table's text, to be read more than once."""

    file: ObjectFile
    packed: bool
    whole: bytes | None

    def again(self) -> io.BufferedIOBase:
        if self.whole is not None:
            return io.BytesIO(self.whole)
        # A file of its own each: whoever drops a reader closes what it reads from.
        source = io.BufferedReader(copy(self.file), _BUFFER)
        return gzip.GzipFile(fileobj=source) if self.packed else source

    def head(self) -> bytes:
        return self.whole[:_HEAD] if self.whole is not None else self.again().read(_HEAD)


def read_table(file: ObjectFile, place: PathLabel, bids: BidsTable | None, **kwargs: Any) -> Any:
    """Return a table of text as a `pandas.DataFrame`.

    Parameters
    ----------
    file : ObjectFile
    place : PathLabel
    bids : BidsTable or None
        How BIDS says that it is written; `None` for other tables.
    **kwargs
        For `pandas.read_csv`. They win over everything that is decided here. With `nrows`,
        `chunksize` or `iterator`, the file is read only as far as it is used.

    Raises
    ------
    UnreadableFileError
        If it is no table, or not as BIDS says.
    """
    with require_packages("pandas"):
        import pandas

    name = place.path.lower()
    with translate_format_errors(place, "a table"), warnings.catch_warnings():
        # pandas drops the values of rows that are too long, and only warns.
        warnings.filterwarnings("error", "Length of header or names does not match")
        in_pieces = any(kwargs.get(key) for key in (*_PIECES, "nrows"))
        source = _source(file, name.endswith(".gz"), in_pieces)
        head = source.head()
        if b"\0" in head and encoding_of(head) in ("utf-8", "utf-8-sig"):
            raise UnreadableFileError(f"{place.path!r} is no table of text: it contains zero bytes")
        options: dict[str, Any] = {
            "sep": "\t" if ".tsv" in name[-7:] else ",",
            "encoding": encoding_of(head),
            **({} if _OWN_ENGINE.intersection(kwargs) else {"low_memory": False}),
            **_bids_options(bids, head, place),
            **kwargs,
        }
        if "delimiter" in kwargs:
            del options["sep"]
        texts = _text_columns(source, options, bids)
        if texts and "dtype" not in kwargs:
            options["dtype"] = dict.fromkeys(texts, str)
        elif texts and isinstance(kwargs["dtype"], Mapping):
            options["dtype"] = {**dict.fromkeys(texts, str), **kwargs["dtype"]}
        return pandas.read_csv(source.again(), **options)


def _source(file: ObjectFile, packed: bool, in_pieces: bool) -> _Source:
    if in_pieces:
        return _Source(file, packed, None)
    content = bytes(file.whole())
    return _Source(file, packed, gzip.decompress(content) if packed else content)


def _bids_options(bids: BidsTable | None, head: bytes, place: PathLabel) -> dict[str, Any]:
    if bids is None:
        return {}
    options = {"keep_default_na": False, "na_values": ["n/a"], "index_col": False}
    if bids.columns is None:
        return options
    first = head.split(b"\n", 1)[0].rstrip(b"\r")
    count = first.count(b"\t") + 1
    if head and count != len(bids.columns):
        raise UnreadableFileError(
            f"{place.path!r} has {count} columns, and {bids.source!r} names {len(bids.columns)}"
        )
    return {**options, "header": None, "names": list(bids.columns)}


def _text_columns(
    source: _Source, options: Mapping[str, Any], bids: BidsTable | None
) -> tuple[str, ...]:
    """Return the columns that hold identifiers."""
    import pandas

    labels = IDENTIFIERS if bids is not None else frozenset[str]()
    if source.whole is not None and not _may_have_padded(source.whole, options):
        return tuple(labels)
    given = {key: value for key, value in options.items() if key not in _LATER}
    if source.whole is None:
        given["nrows"] = options.get("nrows") or _SAMPLE
    if bids is not None:
        given["index_col"] = False
    texts: pandas.DataFrame = pandas.read_csv(source.again(), dtype=str, **given)
    padded = [name for name, column in texts.items() if _has_padded(column.dropna())]
    return (*labels.intersection(texts.columns), *padded)


def _may_have_padded(content: bytes, options: Mapping[str, Any]) -> bool:
    return options["encoding"] not in ("utf-8", "utf-8-sig") or bool(_MAYBE_PADDED.search(content))


def _has_padded(values: Iterable[Any]) -> bool:
    return any(_PADDED.fullmatch(str(value).strip()) for value in values)
