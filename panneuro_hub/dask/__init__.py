"""What dask-gateway-server needs to start clusters in projects; one import in its config file."""

from __future__ import annotations

from panneuro_hub.dask.gateway_config import configure

__all__ = ["configure"]
