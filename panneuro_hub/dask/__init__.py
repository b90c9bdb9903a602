"""Dask clusters in projects; the config file of dask-gateway-server imports `configure`."""

from __future__ import annotations

from panneuro_hub.dask.gateway_config import configure

__all__ = ["configure"]
