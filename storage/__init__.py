"""Where everything is kept: a study's root folder, its artefacts and their digests.

No other package imports zarr, and nothing here knows of networks, matches or flows.
"""
