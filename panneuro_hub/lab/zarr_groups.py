"""Open Zarr hierarchies: by xarray where all dimensions have names, or else by zarr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from panneuro_hub.errors import MissingPackageError
from panneuro_hub.lab.current_session import PathNotFoundError
from panneuro_hub.lab.read_errors import (
    UnknownFormatError,
    UnreadableFileError,
    require_packages,
    translate_format_errors,
)
from panneuro_hub.lab.store_errors import PathLabel, translate_store_errors

if TYPE_CHECKING:
    import xarray
    import zarr
    from obstore.store import S3Store
    from xarray.backends import ZarrStore

# Zarr asks for ten chunks at once where nobody says how many. That is for a disk: a store
# answers more of them in the same time. Who has set another number keeps it.
_ZARR_DEFAULT = 10
_AT_ONCE = 64
# What the root of an OME-Zarr image, plate or collection says of itself (versions 0.1 to 0.5).
_IMAGE = frozenset({"ome", "multiscales", "plate", "well", "bioformats2raw.layout"})
_MASK = "use_zarr_fill_value_as_mask"
_SOURCE = ("group", "consolidated", "zarr_format")


def read_zarr(store: S3Store, place: PathLabel, **kwargs: Any) -> Any:
    """Return what a Zarr hierarchy holds; nothing of it is left out.

    Parameters
    ----------
    store : S3Store
        Its root is the hierarchy.
    place : PathLabel
    **kwargs
        As for `xarray.open_zarr`.

    Returns
    -------
    object
        A `zarr.Array` for one array; a `pynwb.NWBFile` for NWB; an `xarray.Dataset` for a group,
        or an `xarray.DataTree` for a group with groups in it; a `zarr.Group` where xarray cannot
        represent every array (one without names of dimensions, or one that does not fit the
        others) and for OME-Zarr.

    Raises
    ------
    PathNotFoundError
        If there is not the `group` that was asked for.
    UnknownFormatError
        If arguments for xarray are given and the result is a `zarr.Group`.
    UnreadableFileError
        If the metadata is damaged.
    """
    with _zarr_errors(place):
        try:
            node = _opened(store, place, kwargs)
        except PathNotFoundError:
            raise
        except FileNotFoundError as problem:
            # There is metadata, and zarr does not recognize it.
            raise UnreadableFileError(
                f"{place.path!r} has damaged Zarr metadata: {problem}"
            ) from problem
        if _is_array(node):
            return node
        if "nwb_version" in node.attrs:
            return _nwb(node.store, place)
        options = {key: value for key, value in kwargs.items() if key not in _SOURCE}
        tree = None if _IMAGE.intersection(node.attrs) else _labelled(node, options)
        if tree is not None:
            return tree
        if options:
            raise UnknownFormatError(
                f"{place.path!r} opens as a zarr.Group, since xarray cannot represent all of it. A "
                f"zarr.Group takes no {', '.join(options)}; dask.array.from_zarr makes a Dask "
                "array of an array in it"
            )
        return node


def read_zarr_group(store: S3Store, place: PathLabel, **kwargs: Any) -> xarray.Dataset:
    """Return the arrays of one Zarr group as an xarray data set.

    Raises
    ------
    PathNotFoundError
        If there is no Zarr group.
    UnreadableFileError
        If the metadata is damaged, or xarray cannot represent the arrays.
    """
    with _zarr_errors(place):
        node = _opened(store, place, kwargs)
        if _is_array(node):
            raise UnreadableFileError(
                f"{place.path!r} is one Zarr array and no group; lab.open opens it"
            )
        options = {key: value for key, value in kwargs.items() if key not in _SOURCE}
        found = _dataset(_source(node, options), options)
        if found is None:
            raise UnreadableFileError(
                f"{place.path!r} has arrays without names of dimensions, or with the same name "
                "for dimensions of different sizes, which xarray cannot represent; lab.open gives "
                "a zarr.Group"
            )
        return found


@contextmanager
def _zarr_errors(place: PathLabel) -> Iterator[None]:
    with (
        require_packages("xarray", "zarr"),
        translate_store_errors(place, "Zarr group"),
        translate_format_errors(place, "Zarr"),
        warnings.catch_warnings(),
    ):
        # A dataset may have other files next to those of Zarr, such as a README.
        warnings.filterwarnings("ignore", "Object at .* is not recognized as a component")
        yield


def _opened(store: S3Store, place: PathLabel, kwargs: Mapping[str, Any]) -> Any:
    import zarr
    from zarr.storage import ObjectStore

    if zarr.config.get("async.concurrency") == _ZARR_DEFAULT:
        zarr.config.set({"async.concurrency": _AT_ONCE})
    reader = ObjectStore(store, read_only=True)
    consolidated, zarr_format = kwargs.get("consolidated"), kwargs.get("zarr_format")
    if consolidated is None and zarr_format is None:
        node: Any = zarr.open(reader, mode="r")
    else:
        node = zarr.open_group(
            reader, mode="r", use_consolidated=consolidated, zarr_format=zarr_format
        )
    inner = (kwargs.get("group") or "").strip("/")
    if not inner:
        return node
    if _is_array(node) or inner not in node:
        raise PathNotFoundError(f"there is no group {inner!r} in the Zarr hierarchy {place.path!r}")
    return node[inner]


def _is_array(node: Any) -> bool:
    import zarr

    return isinstance(node, zarr.Array)


def _labelled(root: zarr.Group, options: Mapping[str, Any]) -> Any:
    """Return the hierarchy as a data set or tree; `None` if xarray cannot represent it."""
    import xarray
    import zarr

    groups = {"/": root}
    for path, node in root.members(max_depth=None):
        if isinstance(node, zarr.Group):
            groups[f"/{path}"] = node
    stores = {path: _source(group, options) for path, group in groups.items()}
    if any(_sizes(store) is None for store in stores.values()):
        return None
    datasets = {path: _dataset(store, options) for path, store in stores.items()}
    if len(datasets) == 1:
        return datasets["/"]
    try:
        return xarray.DataTree.from_dict(datasets)
    except ValueError:
        # Groups share the coordinates of the groups above them, and here those differ.
        return None


def _dataset(store: ZarrStore, options: Mapping[str, Any]) -> xarray.Dataset | None:
    """Return the arrays of one group, `None` if xarray cannot represent them."""
    import xarray

    if _sizes(store) is None:
        return None
    # As `xarray.open_zarr` has it.
    given: dict[str, Any] = {"chunks": {} if find_spec("dask") else None, **options}
    given.pop(_MASK, None)
    return xarray.open_dataset(store, **given)


def _sizes(store: ZarrStore) -> Mapping[str, int] | None:
    """Return the sizes of the dimensions, `None` if one has no name or several sizes."""
    sizes: dict[str, int] = {}
    try:
        variables = store.get_variables()  # type: ignore[no-untyped-call]
    except KeyError:
        # What xarray raises for an array without names of dimensions.
        return None
    for variable in variables.values():
        if None in variable.dims or len(set(variable.dims)) < len(variable.dims):
            return None
        for name, size in zip(variable.dims, variable.shape, strict=True):
            if sizes.setdefault(str(name), size) != size:
                return None
    return sizes


def _source(group: zarr.Group, options: Mapping[str, Any]) -> ZarrStore:
    from panneuro_hub.lab.zarr_source import StoredZarr

    return StoredZarr.of(group, masked=bool(options.get(_MASK)))


def _nwb(reader: Any, place: PathLabel) -> Any:
    try:
        from hdmf_zarr.nwb import NWBZarrIO
    except ImportError as missing:
        raise MissingPackageError(
            f"{place.path!r} is NWB on Zarr, and reading that beside Zarr 3 needs hdmf-zarr 0.14, "
            "which needs Python 3.12 or newer; it comes with panneuro-hub[formats]. Single arrays "
            f"of it open here too, such as lab.open('{place.path}/units/spike_times')"
        ) from missing
    return NWBZarrIO(reader, mode="r", load_namespaces=True).read()
