"""Where everything is kept: a study's root folder, its artefacts and their digests.

The only package that imports zarr. It stores arrays, numbers and text that it is handed, and knows
nothing of networks, matches or flows.
"""
