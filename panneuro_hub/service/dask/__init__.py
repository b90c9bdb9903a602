"""What the gateway and the dashboards of Dask clusters ask the service."""
