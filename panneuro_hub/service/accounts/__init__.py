"""People's accounts as the hub knows them now, and what their access is."""
