"""Composition: a study's parameters, the flow that runs it, and the command line."""
