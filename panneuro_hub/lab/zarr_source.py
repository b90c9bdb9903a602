"""What xarray reads a Zarr group from, with values and types as stored.

In Zarr, `fill_value` is the value of chunks that were never written. xarray takes it for
"missing" in format 2, so that each stored 0 becomes NaN and integers become floats. Here, values
are missing where the attributes `_FillValue` or `missing_value` say so.

This module imports xarray and zarr: import it where they are needed. Its class stands at the top
of a module since data sets that are sent to Dask workers refer to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zarr
from xarray import Variable
from xarray.backends import ZarrStore

_PACKED = frozenset({"scale_factor", "add_offset"})


class StoredZarr(ZarrStore):
    """One group; `fill_value` means missing values only where xarray wrote codes for them."""

    @classmethod
    def of(cls, group: zarr.Group, masked: bool = False) -> StoredZarr:
        """Return a source for `group`.

        Parameters
        ----------
        group : zarr.Group
        masked : bool
            Whether `fill_value` means missing values of every array, as in `xarray.open_zarr`.
            Its own option for this, `use_zarr_fill_value_as_mask`, has no effect there.
        """
        return cls(group, mode="r", use_zarr_fill_value_as_mask=masked)

    def open_store_variable(self, name: str) -> Variable:
        """Return one array with its attributes, before CF decoding."""
        attributes = self.members[name].attrs
        variable: Variable
        try:
            variable = super().open_store_variable(name)  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):
            if "_FillValue" not in attributes:
                raise
            variable = self._with_plain_fill(name, attributes["_FillValue"])
        fill = getattr(self.members[name], "fill_value", None)
        # xarray itself writes `_FillValue` of format 2 as `fill_value` only. In packed numbers and
        # times that is a code. 0 is what zarr writes where nobody chose a value.
        if self.zarr_group.metadata.zarr_format == 2 and fill and _is_coded(variable.attrs):
            variable.attrs.setdefault("_FillValue", fill)
        return variable

    def _with_plain_fill(self, name: str, fill: Any) -> Variable:
        """Return an array whose `_FillValue` is not coded as xarray would code it."""
        masked = ZarrStore(
            self.zarr_group, mode="r", use_zarr_fill_value_as_mask=True, cache_members=False
        )
        variable: Variable = masked.open_store_variable(name)  # type: ignore[no-untyped-call]
        variable.attrs["_FillValue"] = variable.dtype.type(fill)
        return variable


def _is_coded(attributes: Mapping[str, Any]) -> bool:
    return bool(_PACKED.intersection(attributes)) or " since " in str(attributes.get("units", ""))
