"""The deployed flows, and subpackages for the study, the run and the command line."""
