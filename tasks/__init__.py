"""Units of cached work: what each is, the piece of it that runs on Dask, and the Prefect task around it."""
