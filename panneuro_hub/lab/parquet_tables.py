"""Read tables in Parquet: one file, or a folder of files that are parts of one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import (
    UnknownFormatError,
    UnreadableFileError,
    require_packages,
    translate_format_errors,
)
from panneuro_hub.lab.store_errors import PathLabel

if TYPE_CHECKING:
    import pyarrow

_AT_ONCE = 16
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_FORMAT = "a table of Parquet"
_Keys = dict[str, str | None]


def read_parquet(file: ObjectFile, place: PathLabel, kwargs: dict[str, Any]) -> Any:
    """Return one file of Parquet as a `pandas.DataFrame`; `kwargs` are for pandas."""
    with require_packages("pandas", "pyarrow"):
        import pandas

        with translate_format_errors(place, _FORMAT):
            return pandas.read_parquet(file, **kwargs)


def read_partitioned(parts: Mapping[str, ObjectFile], place: PathLabel, **kwargs: Any) -> Any:
    """Return files of Parquet that are parts of one table as one `pandas.DataFrame`.

    Folders such as ``subject=001`` become columns: whole numbers where every value is one, and
    text otherwise, so that ``001`` stays as it is.

    Parameters
    ----------
    parts : mapping of str to ObjectFile
        By path, relative to the table's folder.
    place : PathLabel
    **kwargs
        ``columns``, a list of names, and ``filters``, as for `pandas.read_parquet`.

    Raises
    ------
    UnknownFormatError
        If there are other arguments.
    UnreadableFileError
        If a part is damaged, or has columns of other types than the rest.
    """
    if others := set(kwargs) - {"columns", "filters"}:
        raise UnknownFormatError(
            f"{place.path!r} is a folder of Parquet files, which opens with columns= and filters= "
            f"only, not with {', '.join(sorted(others))}"
        )
    with require_packages("pandas", "pyarrow"):
        import pandas  # noqa: F401
        from pyarrow import dataset, parquet
    keys = {path: partition_keys(path) for path in parts}
    names = list(dict.fromkeys(name for found in keys.values() for name in found))
    if any(list(found) != names for found in keys.values()):
        raise UnreadableFileError(f"{place.path!r} has parts in folders of different columns")
    with translate_format_errors(place, _FORMAT):
        schema = _schema(parts, place)
        values = {name: _typed([found[name] for found in keys.values()]) for name in names}
        style = dataset.ParquetFileFormat()
        fragments = [
            style.make_fragment(part, partition_expression=_expression(values, number))
            for number, part in enumerate(parts.values())
        ]
        whole = dataset.FileSystemDataset(fragments, _with_keys(schema, values), style)
        filters = kwargs.get("filters")
        table = whole.to_table(
            columns=kwargs.get("columns"),
            filter=None if filters is None else parquet.filters_to_expression(filters),
        )
        return table.to_pandas()


def partition_keys(path: str) -> _Keys:
    """Return what the folders of a part say: ``a=1/b=x/part-0.parquet`` has `a` and `b`."""
    pairs = [folder.partition("=") for folder in path.split("/")[:-1]]
    return {
        unquote(name): None if value == _NO_VALUE else unquote(value)
        for name, is_, value in pairs
        if is_
    }


def _schema(parts: Mapping[str, ObjectFile], place: PathLabel) -> pyarrow.Schema:
    """Return the columns of all parts; those that only some have are missing in the others."""
    import pyarrow
    from pyarrow import parquet

    def columns(path: str) -> pyarrow.Schema:
        inside = PathLabel(f"{place.path}/{path}", f"{place.uri}/{path}", place.project)
        with translate_format_errors(inside, _FORMAT):
            return parquet.read_schema(parts[path])

    with ThreadPoolExecutor(min(_AT_ONCE, len(parts)), "panneuro-parquet") as pool:
        found = list(pool.map(columns, parts))
    widest = max(found, key=len)
    if not all(set(one.names) <= set(widest.names) for one in found):
        raise UnreadableFileError(
            f"{place.path!r} has parts with different columns, so they are not of one table; open "
            "them one by one"
        )
    try:
        return pyarrow.unify_schemas(found, promote_options="default")
    except (pyarrow.ArrowTypeError, pyarrow.ArrowInvalid) as problem:
        raise UnreadableFileError(
            f"{place.path!r} has parts that are not of one table: {problem}; open them one by one"
        ) from problem


def _typed(values: Sequence[str | None]) -> list[Any]:
    def is_whole(value: str | None) -> bool:
        return value is None or (value.removeprefix("-").isdecimal() and str(int(value)) == value)

    if any(value is not None for value in values) and all(map(is_whole, values)):
        return [None if value is None else int(value) for value in values]
    return list(values)


def _expression(values: Mapping[str, Sequence[Any]], number: int) -> Any:
    from pyarrow import dataset

    terms = [
        dataset.field(name).is_null()
        if found[number] is None
        else dataset.field(name) == found[number]
        for name, found in values.items()
    ]
    return reduce(and_, terms) if terms else None


def _with_keys(schema: pyarrow.Schema, values: Mapping[str, Sequence[Any]]) -> pyarrow.Schema:
    import pyarrow

    for name, found in values.items():
        if name not in schema.names:
            whole = any(isinstance(value, int) for value in found)
            schema = schema.append(
                pyarrow.field(name, pyarrow.int64() if whole else pyarrow.string())
            )
    return schema
