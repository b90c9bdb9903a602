"""What dask-gateway-server needs to start clusters in projects; one import in its config file."""
