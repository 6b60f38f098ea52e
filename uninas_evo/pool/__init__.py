"""Workers that score candidates: one contract, in process, one process per device, or a Dask cluster."""
