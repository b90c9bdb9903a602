"""Read HDF5 files whose parts may lie in other files of the same dataset."""
