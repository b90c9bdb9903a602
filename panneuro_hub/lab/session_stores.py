"""Open the session's data from Python: as a store, a file system or Zarr.

These objects renew their keys: obstore asks the session's agent before the keys expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from panneuro_hub.lab.current_session import locate_path, session
from panneuro_hub.lab.store_errors import PathLabel
from panneuro_hub.lab.zarr_groups import read_zarr_group
from panneuro_hub.names import StorageLocation
from panneuro_hub.wire import SessionView

if TYPE_CHECKING:
    import xarray
    from obstore.store import ClientConfig, S3Config


def store(path: str = "") -> S3Store:
    """Return an obstore store whose root is a path of this session.

    Parameters
    ----------
    path : str
        As for `resolve`; by default the project's own prefix. The path is treated as a folder.

    Returns
    -------
    obstore.store.S3Store
        A store that renews its keys. You can pickle it and send it to Dask workers, where it uses
        the keys of their session.

    Raises
    ------
    AccessDeniedError, NotInSessionError, ServiceUnavailableError, ValueError
        As for `resolve`.
    """
    view = session()
    return open_store(view, locate_path(view, path))


def filesystem() -> FsspecStore:
    """Return an fsspec file system for ``bucket/key`` paths, such as `resolve` returns.

    It renews its keys. For 60 files of 1 MiB on loopback, read one after the other, it takes a
    seventh of the time of s3fs or less; for whole batches of files, both take the same time.

    Returns
    -------
    obstore.fsspec.FsspecStore

    Raises
    ------
    AccessDeniedError, NotInSessionError, ServiceUnavailableError
        As for `session`.
    """
    view = session()
    files: FsspecStore = FsspecStore(
        "s3", config=_make_store_config(view), client_options=_make_client_options(view)
    )
    return files


def open_zarr(path: str, **kwargs: Any) -> xarray.Dataset:
    """Open one Zarr group as an xarray dataset; values are read when you use them.

    Values and types are as stored: unlike in `xarray.open_zarr`, the `fill_value` of Zarr 2 means
    no missing values, unless you pass ``use_zarr_fill_value_as_mask=True``.

    Parameters
    ----------
    path : str
        As for `resolve`.
    **kwargs
        Arguments for `xarray.open_zarr`.

    Raises
    ------
    PathNotFoundError
        If there is no Zarr group at `path`.
    UnreadableFileError
        If its metadata is damaged, or its arrays do not name their dimensions.
    AccessDeniedError
        If the session cannot read the path; the message says why.
    ServiceUnavailableError
        If the store does not answer, or there are no keys for it; or as for `resolve`.
    NotInSessionError, ValueError
        As for `resolve`.
    """
    view = session()
    place = locate_path(view, path)
    shown = PathLabel(path, place.uri, view.project)
    return read_zarr_group(open_store(view, place), shown, **kwargs)


def open_store(view: SessionView, place: StorageLocation) -> S3Store:
    """Open a store whose root is `place`, with the keys of the session `view`."""
    return S3Store(
        place.bucket,
        prefix=place.key,
        config=_make_store_config(view),
        client_options=_make_client_options(view),
    )


def _make_store_config(view: SessionView) -> S3Config:
    config: S3Config = {"region": view.region}
    if view.endpoint_url is not None:
        config["endpoint"] = view.endpoint_url
    return config


def _make_client_options(view: SessionView) -> ClientConfig:
    plain_http = view.endpoint_url is not None and view.endpoint_url.startswith("http://")
    return {"allow_http": True} if plain_http else {}
